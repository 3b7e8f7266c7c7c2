# The commands of this project; continuous integration runs these and nothing else.
#
# They write below target/ and dist/ only, need no root and no AWS account, and change nothing else on this machine,
# except that `setup` installs cargo-deny into cargo's own bin folder if it is missing. cargo downloads what it lacks.

TARGET ?= x86_64-unknown-linux-gnu
CARGO_DENY ?= 0.20.2

.PHONY: help demo build test bench lint setup clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

demo: ## Rehearse the whole boot against an embedded fake cloud
	cargo run --locked --features rehearse -- rehearse

build: ## Build the static binary of an image: dist/ecs-firstrun
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target $(TARGET)
	install -D target/$(TARGET)/release/ecs-firstrun dist/ecs-firstrun

test: ## Run every test
	cargo test --locked --all-features

bench: build ## Measure the binary of an image against what it may cost
	cargo test --locked --all-features --test budgets

lint: setup ## Check format, lints and dependencies
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings && cargo clippy --locked --all-targets --all-features -- -D warnings
	cargo deny --locked --all-features check licenses bans sources

setup: ## Install what lint needs, if it is missing
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny --version $(CARGO_DENY)

clean: ## Remove what was built
	cargo clean
	rm -rf dist

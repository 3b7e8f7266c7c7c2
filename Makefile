# The commands of this project; continuous integration runs these and nothing else.
#
# They write below target/ and dist/ only, need no root and no AWS account, and change nothing else on this machine,
# except that `setup` installs cargo-deny into cargo's own bin folder if it is missing, and that `test`, where root runs it
# on Debian, installs the packages that its tests on real disks use. cargo downloads what it lacks.
# `e2e` needs root, for the disk of its virtual machines, and installs Debian's packages for those if they are missing.

TARGET ?= x86_64-unknown-linux-gnu
CARGO_DENY ?= 0.20.2
# What formats, partitions, encrypts or mounts the loop devices of the tests.
DISK_PACKAGES = bcache-tools btrfs-progs cryptsetup-bin dosfstools e2fsprogs erofs-utils exfatprogs f2fs-tools fdisk \
	genisoimage gfs2-utils jfsutils lvm2 mount nilfs-tools ntfs-3g ocfs2-tools reiser4progs reiserfsprogs squashfs-tools \
	strace udftools util-linux xfsprogs
E2E_PROGRAMS = mmdebstrap qemu-system-x86_64 qemu-img socat tinyproxy mke2fs setpriv
E2E_PACKAGES = mmdebstrap qemu-system-x86 socat tinyproxy-bin e2fsprogs util-linux

.PHONY: help demo build test bench e2e lint setup setup-disks setup-e2e clean

help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 13

demo: ## Rehearse the whole boot against an embedded fake cloud
	cargo run --locked --features rehearse -- rehearse

build: ## Build the static binary of an image: dist/ecs-firstrun
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target $(TARGET)
	install -D target/$(TARGET)/release/ecs-firstrun dist/ecs-firstrun

test: ## Run every test; those on real disks if root runs it
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then $(MAKE) --no-print-directory setup-disks; fi
	cargo test --locked --all-features

bench: build ## Measure the binary of an image against what it may cost
	cargo test --locked --all-features --test budgets
	cargo test --locked --all-features --lib a_fleet -- --nocapture

e2e: setup-e2e build ## Run the binary of an image in virtual machines; ARGS=first runs what has `first` in its name
	cargo test --locked --features rehearse --test e2e -- $(ARGS)

lint: setup ## Check format, lints and dependencies
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings && cargo clippy --locked --all-targets --all-features --test e2e --test budgets -- -D warnings
	cargo deny --locked --all-features check licenses bans sources

setup: ## Install what lint needs, if it is missing
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny --version $(CARGO_DENY)

setup-disks: ## Install, on Debian, what the tests on real disks use and is missing
	@missing=$$(for package in $(DISK_PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || echo $$package; done); \
	test -z "$$missing" || { apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; } || \
		echo "not all is installed: the tests on those filesystems are skipped" >&2

# The package of QEMU's tools that a machine has may be newer than its QEMU can be: then the older one is taken.
setup-e2e: ## Install what e2e needs, if it is missing
	@which $(E2E_PROGRAMS) >/dev/null || { \
		export DEBIAN_FRONTEND=noninteractive && apt-get update -q && \
		apt-get install -qy --no-install-recommends --allow-downgrades $(E2E_PACKAGES) qemu-utils/$$(. /etc/os-release && echo $$VERSION_CODENAME); }

clean: ## Remove what was built
	cargo clean
	rm -rf dist

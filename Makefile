# The commands of this project; continuous integration runs these and nothing else.
#
# They write below target/ and dist/ only, need no root and no AWS account, and change nothing else on this machine,
# except that `setup`, `setup-packages`, `setup-fuzz` and `setup-mutants` install cargo-deny, cargo-deb, cargo-generate-rpm,
# cargo-fuzz and cargo-mutants into cargo's own bin folder if they are missing, and that `test`, `lint` and `mutants`, where
# root runs them on Debian, install packages: for the tests on real disks, shellcheck and shfmt. cargo, pip and npm download
# what they lack.
# `e2e`, `test-bake` and `prove-kill` need root, for virtual machines, a scratch host and loop devices, and install Debian's
# packages for those if they are missing, as `bench` and `bench-check` do with what they measure with. `ami` bakes in the
# AWS account whose keys or profile it is given.

# The processor of the image: x86_64, or arm64 as AWS calls aarch64.
ARCH ?= x86_64
TARGET ?= $(patsubst arm64-%,aarch64-%,$(ARCH)-unknown-linux-gnu)
# A static binary, at addresses of its own in each run. Its relocations are packed (RELR), which takes 0.4 MB off: glibc's
# start-up code reads them so from 2.36 on. Functions of the same code are folded into one, 0.08 MB: LLD can, with which Rust
# links for this target.
STATIC = -C target-feature=+crt-static $(shell printf '%s\n' 'glibc 2.36' "$$(getconf GNU_LIBC_VERSION)" | sort -CV && \
	echo -C link-arg=-Wl,-z,pack-relative-relocs) \
	$(if $(filter x86_64-unknown-linux-gnu,$(TARGET)),-C link-arg=-Wl$(comma)--icf=all)
comma := ,
# Where cargo keeps the sources of libraries, which are named in panics by their paths below it: 0.05 MB shorter, and the same
# wherever cargo's home is.
SOURCES = $${CARGO_HOME:-$$HOME/.cargo}/registry/src
# As uname names it. The linker for another processor than this machine's has Debian's name for it, unless cargo's own
# variable says otherwise.
MACHINE = $(firstword $(subst -, ,$(TARGET)))
LINKER = CARGO_TARGET_$(shell echo $(TARGET) | tr a-z- A-Z_)_LINKER
ifneq ($(MACHINE),$(shell uname -m))
export $(LINKER) ?= $(MACHINE)-linux-gnu-gcc
endif
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
CARGO_DENY ?= 0.20.2
CARGO_DEB ?= 3.8.0
CARGO_GENERATE_RPM ?= 0.21.1
CARGO_FUZZ ?= 0.13.2
CARGO_MUTANTS ?= 27.1.0
# Which mutants are tried, as `-F plan/storage` or `--shard 0/8`; all, unless given.
MUTANTS ?=
# The tests of tests/main.rs that decide about those that the crate's own leave: of them, those that take seconds.
MUTANTS_TESTS = delivery:: disks:: doctor_checks:: examples:: hostile_input:: plan_command:: plans:: properties:: refused:: schema:: signal:: signed_requests:: state:: validate::
# How long each fuzz target runs, and which do; all, unless given.
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?=
# What formats, partitions, encrypts or mounts the loop devices of the tests.
DISK_PACKAGES = bcache-tools btrfs-progs cryptsetup-bin dosfstools e2fsprogs erofs-utils exfatprogs f2fs-tools fdisk \
	genisoimage gfs2-utils jfsutils lvm2 mount nilfs-tools ntfs-3g ocfs2-tools reiser4progs reiserfsprogs squashfs-tools \
	strace udftools util-linux xfsprogs
# What `ami` and `validate` pass to packer.json; PACKER_ARGS adds to that, as `-var timezone=Europe/Berlin`.
REGION ?= $(or $(AWS_REGION),$(AWS_DEFAULT_REGION),us-east-1)
VARIABLES = -var region=$(REGION) -var arch=$(ARCH) -var version=$(VERSION) \
	-var revision=$$(git describe --always --dirty 2>/dev/null || echo unknown) \
	-var binary_sha256=$$(sha256sum dist/ecs-firstrun | cut -d' ' -f1)
SCRIPTS = $(shell grep -rlE --exclude='*.rs' --exclude-dir=cases --exclude-dir=noted --exclude-dir=refused '^\#!/bin/(ba)?sh' .ci/run builder-scripts tests)
BAKE_PACKAGES = packer mmdebstrap python3-venv iproute2 util-linux rpm
MOTO ?= 5.2.1
CFN_LINT ?= 1.58.0
JSONSCHEMA ?= 4.26.0
CHECK_JSONSCHEMA ?= 0.39.0
AJV ?= 8.20.0
BOTOCORE ?= 1.44.8
AWS_CLI ?= 1.46.3
# Docker 29, as a Go module.
MOBY ?= v2.0.0-beta.24
BENCH_PROGRAMS = curl jq strace valgrind

E2E_PROGRAMS = mmdebstrap qemu-system-x86_64 qemu-img socat tinyproxy mke2fs setpriv
E2E_PACKAGES = mmdebstrap qemu-system-x86 socat tinyproxy-bin e2fsprogs util-linux

.PHONY: help demo build generate deb rpm validate ami test bench bench-check fuzz fuzz-ci mutants fleet e2e test-bake prove-kill lint \
	setup setup-disks setup-packages setup-templates setup-validators setup-endpoints setup-dockerd setup-cloud-init setup-dockers setup-bake setup-bench setup-e2e setup-fuzz setup-mutants clean

help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## Rehearse the whole boot against an embedded fake cloud
	cargo run --locked --features rehearse -- rehearse

build: ## Build the static binary of an image: dist/ecs-firstrun
	@rustc --print target-libdir --target $(TARGET) 2>/dev/null | xargs -r test -d && \
		{ test -z "$($(LINKER))" || command -v $($(LINKER)) >/dev/null; } || { \
		echo "a build for $(TARGET) needs \`rustup target add $(TARGET)\`, and a C compiler and linker for it:" \
			"gcc-$(subst _,-,$(MACHINE))-linux-gnu on Debian, or what $(LINKER) names" >&2; exit 1; }
	cargo fetch --locked --target $(TARGET)
	RUSTFLAGS="$(STATIC) $$(printf -- '--remap-path-prefix=%s/= ' $(SOURCES)/*)" cargo build --release --locked --target $(TARGET)
	install -D target/$(TARGET)/release/ecs-firstrun dist/ecs-firstrun

generate: ## Write man pages and completions: target/generated
	cargo run --locked --features generate --bin generate -- target/generated

# As Debian names the processor.
DEB_ARCH = $(patsubst x86_64,amd64,$(patsubst aarch64,arm64,$(MACHINE)))

deb: setup-packages build generate ## Build a package for Debian and its like, dist/ecs-firstrun_*.deb
	cargo deb --quiet --no-build --no-strip --target $(TARGET) --output dist/ecs-firstrun_$(VERSION)-1_$(DEB_ARCH).deb

# xz is what each rpm reads, that of Amazon Linux 2 too.
rpm: setup-packages build generate ## Build a package for Amazon Linux, dist/ecs-firstrun-*.rpm
	cargo generate-rpm --arch $(MACHINE) --payload-compress xz --output dist/ecs-firstrun-$(VERSION)-1.$(MACHINE).rpm

validate: ## Check packer.json and what it passes on; changes nothing
	packer validate $(VARIABLES) $(PACKER_ARGS) packer.json

# Keys of the profile, of the role that it names: Packer knows fewer kinds of profiles than AWS CLI 2 does. Where that
# is not installed, Packer reads the profile itself.
ami: build validate ## Bake the image, in the AWS account of AWS_PROFILE or AWS_ACCESS_KEY_ID; ARCH=arm64 for Graviton
	@if [ -n "$$AWS_PROFILE" ] && keys=$$(aws configure export-credentials --format env 2>/dev/null); then \
		eval "$$keys"; unset AWS_PROFILE; fi; \
	builder-scripts/versions.sh $(REGION) $(ARCH) >target/versions.json && \
	packer build $(VARIABLES) -var-file target/versions.json $(PACKER_ARGS) packer.json && \
	builder-scripts/imds.sh manifest.json

# Many tests wait for most of their time, so more of them run at once than there are processors.
test: export RUST_TEST_THREADS ?= $(shell expr 3 '*' $$(nproc))
test: ## Run every test; those on real disks if root runs it
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then $(MAKE) --no-print-directory setup-disks; fi
	@$(MAKE) --no-print-directory setup-templates setup-validators setup-endpoints setup-dockerd setup-cloud-init setup-dockers
	@rm -f target/tmp/skipped
	cargo test --locked --all-features
	@test ! -s target/tmp/skipped || { echo "$$(wc -l <target/tmp/skipped) skipped:"; cat target/tmp/skipped; }

bench: setup-bench build ## Measure the binary of an image, beside a shell script that does its job
	cargo test --locked --all-features --test bench
	cargo test --locked --all-features --lib a_fleet -- --nocapture

bench-check: setup-bench build ## Fail if the binary, or the instructions it takes, are more than recorded
	cargo test --locked --all-features --test bench -- check

# Without a sanitizer the stable compiler can build it. Those look for mistakes of unsafe code: the agent has two calls.
fuzz: setup-fuzz ## Give every reader anything, FUZZ_SECONDS=600 each; FUZZ_TARGETS=user_data runs one
	cargo fuzz build --fuzz-dir tests/fuzz --target-dir target/fuzz --sanitizer none --codegen-units 16
	tests/fuzz/run.sh $(FUZZ_SECONDS) "$(FUZZ_TARGETS)"

fuzz-ci: ## The same, 10 s each
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=10

# The crate's own tests come first: they take seconds, and leave few to the others. It ends with an error where mutants survive.
mutants: export CARGO_TARGET_DIR = $(CURDIR)/target/mutants
mutants: export CARGO_PROFILE_DEV_DEBUG = 0
mutants: export PROPTEST_CASES ?= 64
mutants: setup-mutants setup-disks ## Change what decides, and see a test fail: hours; MUTANTS='-F plan/storage' tries some of it
	cargo mutants --config tests/mutants.toml --output target $(MUTANTS) -C --lib || test $$? -eq 2 -o $$? -eq 3
	cargo mutants --config tests/mutants.toml --output target --iterate --baseline skip --timeout 300 $(MUTANTS) -C --test=all -- -- $(MUTANTS_TESTS)

fleet: build ## Boot 1,000 instances, each a process of the binary of an image, against doubles that fail; FLEET_SEED=2 has other faults
	cargo test --locked --all-features --test fleet

e2e: setup-e2e build ## Run the binary of an image in virtual machines; ARGS=first runs what has `first` in its name
	cargo test --locked --features rehearse --test e2e -- $(ARGS)

test-bake: setup-bake build deb rpm ## Bake with the real Packer, against a double of EC2 and a scratch host; needs root and Debian
	cargo test --locked --all-features --test bake -- $(ARGS)

prove-kill: setup-disks ## Kill the agent at each system call, or let that fail, and run it again; needs root; ARGS=smallest/KILL
	cargo test --locked --all-features --test kill -- $(ARGS)

lint: setup ## Check format, lints and dependencies
	cargo fmt --check && cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
	cargo clippy --locked --all-targets -- -D warnings && cargo clippy --locked --all-targets --all-features --test e2e --test bake --test bench --test fleet --test kill -- -D warnings
	cargo deny --locked --all-features check licenses bans sources
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); else echo "shellcheck is missing: the scripts are not checked" >&2; fi
	@if test -x target/lint/venv/bin/cfn-lint; then target/lint/venv/bin/cfn-lint examples/cloudformation/*.yaml; else echo "cfn-lint is missing: the templates are not checked" >&2; fi
	@if command -v shfmt >/dev/null; then shfmt -d $(SCRIPTS); else echo "shfmt is missing: the scripts' format is not checked" >&2; fi

setup: ## Install what lint needs, if it is missing
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! { command -v shellcheck && command -v shfmt && python3 -c 'import ensurepip'; } >/dev/null 2>&1; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends shellcheck shfmt python3-venv; fi
	@$(MAKE) --no-print-directory setup-templates
	@command -v cargo-deny >/dev/null || cargo install --debug --locked cargo-deny --version $(CARGO_DENY)

setup-disks: ## Install, on Debian, what the tests on real disks use and is missing
	@missing=$$(for package in $(DISK_PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || echo $$package; done); \
	test -z "$$missing" || { apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; } || \
		echo "not all is installed: the tests on those filesystems are skipped" >&2

setup-packages: ## Install what deb and rpm need, if it is missing
	@cargo deb --version 2>/dev/null | grep -qw '$(CARGO_DEB)' || cargo install --locked --no-default-features --features lzma cargo-deb --version $(CARGO_DEB)
	@cargo generate-rpm --version 2>/dev/null | grep -qw '$(CARGO_GENERATE_RPM)' || cargo install --locked cargo-generate-rpm --version $(CARGO_GENERATE_RPM)

setup-fuzz: ## Install what fuzz needs, if it is missing
	@cargo fuzz --version 2>/dev/null | grep -qw '$(CARGO_FUZZ)' || cargo install --debug --locked cargo-fuzz --version $(CARGO_FUZZ)

setup-mutants: ## Install what mutants needs, if it is missing
	@cargo mutants --version 2>/dev/null | grep -qw '$(CARGO_MUTANTS)' || cargo install --locked cargo-mutants --version $(CARGO_MUTANTS)

setup-templates: ## Install, where there is Python, cfn-lint for the templates of examples/
	@test -x target/lint/venv/bin/cfn-lint || ! python3 -c 'import ensurepip' 2>/dev/null || { \
		python3 -m venv target/lint/venv && target/lint/venv/bin/pip install -q 'cfn-lint==$(CFN_LINT)'; } || \
		echo "cfn-lint is not installed: the templates are not checked by it" >&2

setup-validators: ## Install, where there are Python and Node, validators for the JSON Schema
	@test -x target/lint/validators/venv/bin/check-jsonschema || ! python3 -c 'import ensurepip' 2>/dev/null || { \
		python3 -m venv target/lint/validators/venv && target/lint/validators/venv/bin/pip install -q \
			'jsonschema==$(JSONSCHEMA)' 'check-jsonschema==$(CHECK_JSONSCHEMA)'; } || \
		echo "jsonschema and check-jsonschema are not installed: the schema is not checked by them" >&2
	@test -d target/lint/validators/node_modules/ajv || ! command -v npm >/dev/null || \
		npm install --silent --no-audit --no-fund --no-save --prefix target/lint/validators 'ajv@$(AJV)' || \
		echo "Ajv is not installed: the schema is not checked by it" >&2

setup-endpoints: ## Install, where there is Python, botocore, to compare the rules of AWS's endpoints with
	@target/lint/endpoints/venv/bin/python -c 'import botocore; assert botocore.__version__ == "$(BOTOCORE)"' 2>/dev/null || \
		! python3 -c 'import ensurepip' 2>/dev/null || { \
		python3 -m venv target/lint/endpoints/venv && target/lint/endpoints/venv/bin/pip install -q 'botocore==$(BOTOCORE)'; } || \
		echo "botocore is not installed: the rules of AWS's endpoints are not compared with its rules" >&2

# Debian's own version is older, and can't be asked to validate; that of the next release runs here as well.
setup-dockerd: ## Install, where root runs it on Debian, the dockerd that docker.daemon is held to, without starting it
	@test -x target/lint/dockerd/dockerd || ! { test "$$(id -u)" = 0 && command -v apt-get >/dev/null; } || { \
		{ command -v mmdebstrap >/dev/null || { apt-get update -q && \
			DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends mmdebstrap; }; } && \
		mkdir -p target/lint/dockerd && folder=$$(mktemp -d) && { \
		mmdebstrap --quiet --variant=extract --aptopt='APT::Install-Recommends "false"' --include=docker.io trixie $$folder && \
			mv $$folder/usr/sbin/docker-proxy $$folder/usr/sbin/dockerd target/lint/dockerd; \
		status=$$?; rm -rf $$folder; exit $$status; }; } || \
		echo "dockerd is not installed: docker.daemon is not held to it" >&2

setup-cloud-init: ## Install, where root runs it on Debian, two of its releases with their cloud-init, to go through its stages
	@for release in bookworm trixie; do test -x target/lint/cloud-init/$$release/usr/bin/cloud-init || \
		! { test "$$(id -u)" = 0 && command -v apt-get >/dev/null; } || { \
		{ command -v mmdebstrap >/dev/null || { apt-get update -q && \
			DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends mmdebstrap; }; } && \
		rm -rf target/lint/cloud-init/$$release target/lint/cloud-init/making && mkdir -p target/lint/cloud-init && \
		mmdebstrap --quiet --variant=apt --aptopt='APT::Install-Recommends "false"' --include=cloud-init,iproute2 \
			--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
			--dpkgopt='path-exclude=/usr/share/locale/*' $$release target/lint/cloud-init/making && \
		mv target/lint/cloud-init/making target/lint/cloud-init/$$release; } || \
		echo "Debian $$release is not installed: its cloud-init is not tried" >&2; done

# A mirror's lists of sid may be out of date, so their validity is not checked. No Debian has Docker 29 yet: it is built with Go.
setup-dockers: ## Unpack, where root runs it on Debian, the Dockers and containerds of several Debians and a registry, to load and pull images
	@! { test "$$(id -u)" = 0 && command -v mmdebstrap >/dev/null; } || for suite in bookworm trixie sid; do \
		folder=target/lint/dockers/$$suite; test ! -e $$folder/made || continue; \
		rm -rf $$folder && mkdir -p target/lint/dockers && \
		mmdebstrap --quiet --variant=extract --aptopt='APT::Install-Recommends "false"' \
			--aptopt='Acquire::Check-Valid-Until "false"' --dpkgopt='path-exclude=/usr/share/doc/*' \
			--include=$$(test $$suite = bookworm && echo docker.io || echo docker.io,docker-cli) $$suite $$folder && \
		touch $$folder/made || echo "Docker of $$suite is not unpacked: no image is loaded into it" >&2; done
	@! { test "$$(id -u)" = 0 && command -v mmdebstrap >/dev/null; } || test -x target/lint/registry/usr/bin/docker-registry || { \
		rm -rf target/lint/registry && mmdebstrap --quiet --variant=extract --aptopt='APT::Install-Recommends "false"' \
			--dpkgopt='path-exclude=/usr/share/doc/*' --include=docker-registry,openssl bookworm target/lint/registry; } || \
		echo "the registry is not unpacked: no image is pulled from it" >&2
	@test ! -e target/lint/dockers/sid/made || test -x target/lint/dockers/sid/usr/sbin/dockerd-29 || \
		! command -v go >/dev/null || { mkdir -p target/lint/moby && cd target/lint/moby && \
		{ test -e go.mod || go mod init moby; } && go get github.com/moby/moby/v2/cmd/dockerd@$(MOBY) && \
		CGO_ENABLED=0 go build -tags 'exclude_graphdriver_btrfs netgo osusergo' -o ../dockers/sid/usr/sbin/dockerd-29 \
			-ldflags '-X github.com/moby/moby/v2/dockerversion.Version=29.0.0-$(MOBY)' github.com/moby/moby/v2/cmd/dockerd; } || \
		echo "Docker 29 is not built: no image is loaded into it" >&2

setup-bake: ## Install, on Debian, what validate and test-bake need and is missing
	@missing=$$(for package in $(BAKE_PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || echo $$package; done); \
	test -z "$$missing" || { apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; }
	@test -x target/bake/venv/bin/moto_server || { \
		python3 -m venv target/bake/venv && target/bake/venv/bin/pip install -q 'moto[ec2,server]==$(MOTO)'; }

setup-bench: ## Install, on Debian, what bench measures with and beside, if it is missing
	@which $(BENCH_PROGRAMS) >/dev/null && python3 -c 'import ensurepip' 2>/dev/null || { \
		apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $(BENCH_PROGRAMS) python3-venv; }
	@test -x target/bench/venv/bin/aws || { \
		python3 -m venv target/bench/venv && target/bench/venv/bin/pip install -q 'awscli==$(AWS_CLI)'; }

# The package of QEMU's tools that a machine has may be newer than its QEMU can be: then the older one is taken.
setup-e2e: ## Install what e2e needs, if it is missing
	@which $(E2E_PROGRAMS) >/dev/null || { \
		export DEBIAN_FRONTEND=noninteractive && apt-get update -q && \
		apt-get install -qy --no-install-recommends --allow-downgrades $(E2E_PACKAGES) qemu-utils/$$(. /etc/os-release && echo $$VERSION_CODENAME); }

clean: ## Remove what was built
	cargo clean
	rm -rf dist

# The targets for building, testing and installing Gantry. A newcomer needs `make run` and `make test`, as root on
# Debian 12.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
# The folder of rustup's cargo, for shells that were started before rustup was installed.
export PATH := $(HOME)/.cargo/bin:$(PATH)
# Steps are not run in parallel: apt and cargo lock out a second instance.
.NOTPARALLEL:
# The state directory of `make run`.
ROOT ?= /tmp/gantry
BIN := $(CARGO_TARGET_DIR)/release
# The binaries of `make run` and of the tests. They do everything that the release does, but slower.
QUICK := $(CARGO_TARGET_DIR)/debug
# The crate that C names, in full or without its prefix.
CRATE = $(if $(filter gantry%,$(C)),$(C),gantry-$(or $(C),$(error name a crate, as in C=engine)))
# The tests' binaries contain failpoints (gantry-failpoint), at which tests make them fail; no others do. Lint and
# unit tests use the same features, so that nothing is compiled twice.
FAILPOINTS = --features gantryd/failpoints,gantry-shim/failpoints
# Static and small, because each container has a shim. deploy/rustc-static makes it static, its profile makes it
# small.
SHIM = cargo build --profile shim --locked -p gantry-shim
SHIM_INSTALL = install -Dm755 -t $(BIN) $(CARGO_TARGET_DIR)/shim/containerd-shim-gantry-v2
PREFIX ?= /usr/local
# The folder into which `make install` puts the units, and the one into which `make package` puts its package.
UNITS ?= /etc/systemd/system
PACKAGES ?= $(CARGO_TARGET_DIR)/packages

.PHONY: help setup setup-test build shim run stop check check-crate test test-unit test-binaries test-e2e test-vm \
  test-package fuzz lint fmt contracts bench package package-files units install install-files

help: ## Lists the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## Installs what building needs from the distribution's packages
	@deploy/setup build

setup-test: ## Installs what the tests need: Docker's and containerd's clients, a registry
	@deploy/setup build test

build: setup ## Builds everything, optimized
	@# The shim shares nothing with the rest, whose profile is another, and its last step has one thread only: both at once.
	$(SHIM) & shim=$$!; \
	cargo build --release --locked -p gantryd -p gantry-ctl || { kill $$shim; exit 1; }; \
	wait $$shim
	$(SHIM_INSTALL)

shim: setup ## Builds the shim: static and small, one is resident per container
	$(SHIM)
	$(SHIM_INSTALL)

run: setup ## Builds quickly and starts Gantry, makes an image from the machine's busybox, runs a container
	cargo build --locked -p gantryd -p gantry-ctl -p gantry-shim
	@deploy/try "$(QUICK)" "$(ROOT)"

stop: ## Stops what `make run` started
	"$(QUICK)/gantry" down --all --root "$(ROOT)"

check: ## Checks in seconds that the changed crates are formatted and compile
	cargo fmt --all --check
	cargo check --locked --all-targets $$(deploy/changed)

check-crate: ## Lints and tests one crate: make check-crate C=engine
	cargo fmt -p $(CRATE) --check
	cargo clippy --locked --all-targets -p $(CRATE) -- -D warnings
	cargo test --locked -p $(CRATE)

test: setup-test test-unit test-e2e ## Runs every test, as root

test-unit: setup ## Runs the tests that need no client
	cargo test --workspace --exclude gantry-tests --locked $(FAILPOINTS)

test-binaries: setup-test
	cargo build --locked --workspace $(FAILPOINTS)
	mkdir -p $(CARGO_TARGET_DIR)/e2e
	install $(addprefix $(CARGO_TARGET_DIR)/debug/,gantry gantryd gantry-volume-dir gantry-log-otlp containerd-shim-gantry-v2) \
	  $(CARGO_TARGET_DIR)/e2e

test-e2e: test-binaries ## Runs the end-to-end, fault and architecture tests with real clients
	GANTRY_BIN=$(CARGO_TARGET_DIR)/e2e cargo test --locked -p gantry-tests --test e2e -- --test-threads=3
	GANTRY_BIN=$(CARGO_TARGET_DIR)/e2e cargo test --locked -p gantry-tests --lib --test architecture --test fault -- --test-threads=2

test-vm: test-binaries ## Checks an installation on a stock machine, emulated: systemd, cgroup v2, AppArmor, a reboot
	@deploy/setup vm
	tests/vm/test "$(CARGO_TARGET_DIR)/e2e" "$(CARGO_TARGET_DIR)/clients" "$(CARGO_TARGET_DIR)/vm"

fuzz: setup ## Fuzzes what parses bytes from outside, for FOR seconds a target: make fuzz [T=tar] [FOR=60]
	tests/fuzz/run $(or $(FOR),60) $(T)

lint: ## Refuses unformatted code and warnings
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked $(FAILPOINTS) -- -D warnings

fmt: ## Formats
	cargo fmt --all

contracts: ## Writes docs/api and proto/released.txt from the .proto files
	GANTRY_WRITE=1 cargo test --locked -p gantry-proto

bench: setup-test build ## Measures, beside dockerd where one is installed
	@deploy/setup bench
	tests/perf/bench $(BIN)

package: build package-files ## Builds everything and makes a Debian package of it, in PACKAGES

package-files:
	deploy/package "$(BIN)" "$(PACKAGES)"

test-package: ## Installs a package of the binaries in BIN into a folder, and looks at what is there
	tests/package/test "$(BIN)"

units: ## Writes the systemd units anew, as the services' descriptors have it
	GANTRY_WRITE_UNITS=1 cargo test -q --locked -p gantry-tests --test architecture units_follow

install: build install-files ## Installs binaries under PREFIX, and systemd units; makes their users and folders unless DESTDIR is set

install-files:
	install -Dm755 -t "$(DESTDIR)$(PREFIX)/bin" "$(BIN)/gantry" "$(BIN)/gantryd" "$(BIN)/containerd-shim-gantry-v2"
	install -Dm644 -t "$(DESTDIR)$(UNITS)" deploy/systemd/*.{service,socket,target}
	sed -i -E "s|^(Exec[a-zA-Z]+)=/usr/local/|\1=$(PREFIX)/|" "$(DESTDIR)$(UNITS)"/gantry-*.service
	install -Dm644 deploy/systemd/gantry.sysusers.conf "$(DESTDIR)/usr/lib/sysusers.d/gantry.conf"
	install -Dm644 deploy/systemd/gantry.tmpfiles.conf "$(DESTDIR)/usr/lib/tmpfiles.d/gantry.conf"
	[[ -n "$(DESTDIR)" || ! -d /run/systemd/system ]] || { \
	  systemd-sysusers gantry.conf; systemd-tmpfiles --create gantry.conf; systemctl daemon-reload; }

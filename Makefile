# Gantry's workshop. `make run` and `make test` are all that a newcomer needs, as root on Debian 12.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
# Where rustup puts cargo, also for a shell that was there before.
export PATH := $(HOME)/.cargo/bin:$(PATH)
# There is one package manager and one cargo: steps at once would wait for each other, or fail.
.NOTPARALLEL:
# Where `make run` keeps its state.
ROOT ?= /tmp/gantry
BIN := $(CARGO_TARGET_DIR)/release
# What `make run` compiles for a first look: it does all that the other does, slower.
QUICK := $(CARGO_TARGET_DIR)/quick
MACHINE := $(shell uname -m)
# The crate that C names, in full or without its prefix.
CRATE = $(if $(filter gantry%,$(C)),$(C),gantry-$(or $(C),$(error name a crate, as in C=engine)))
# The shim, static: it has no library to load in the root of a container, whose init it may be.
SHIM = LIBSECCOMP_LINK_TYPE=static LIBSECCOMP_LIB_PATH=/usr/lib/$(MACHINE)-linux-gnu \
  RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked -p gantry-shim --target $(MACHINE)-unknown-linux-gnu
SHIM_OPTIMIZED = $(SHIM) --profile shim --target-dir $(CARGO_TARGET_DIR)/static
# The binaries that the tests run have points at which they can be made to fail (gantry-failpoint); no others have. Lint and
# unit tests take the same, so that nothing is compiled twice.
FAILPOINTS = --features gantryd/failpoints,gantry-shim/failpoints
SHIM_BUILT = $(CARGO_TARGET_DIR)/static/$(MACHINE)-unknown-linux-gnu/shim/containerd-shim-gantry-v2
SHIM_INSTALL = install -Dm755 -t $(BIN) $(SHIM_BUILT)
PREFIX ?= /usr/local
# Where `make install` has systemd find the units, and `make package` leaves its package.
UNITS ?= /etc/systemd/system
PACKAGES ?= $(CARGO_TARGET_DIR)/packages

.PHONY: help setup setup-test build shim run stop check check-crate test test-unit test-binaries test-e2e test-vm \
  test-package fuzz lint fmt contracts bench package package-files units install install-files

help: ## Lists the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## Installs what building needs from the distribution's packages
	@deploy/setup build

setup-test: ## Installs what the tests need: clients that nobody here wrote, a registry
	@deploy/setup build test

build: setup ## Builds everything, optimized
	@# The shim shares nothing with the rest, whose profile is another, and its last step has one thread only: both at once.
	$(SHIM_OPTIMIZED) & shim=$$!; \
	cargo build --release --locked -p gantryd -p gantry-ctl || { kill $$shim; exit 1; }; \
	wait $$shim
	$(SHIM_INSTALL)

shim: setup ## Builds the shim: static and small, one is resident per container
	$(SHIM_OPTIMIZED)
	$(SHIM_INSTALL)

run: setup ## Builds quickly and starts Gantry, makes an image from the machine's busybox, runs a container
	@# What runs at compile time is the same for both, and compiled once.
	cargo build --profile quick --locked -p gantryd -p gantry-ctl
	$(SHIM) --profile quick --config 'profile.quick.panic="abort"'
	install -Dm755 -t $(QUICK) $(CARGO_TARGET_DIR)/$(MACHINE)-unknown-linux-gnu/quick/containerd-shim-gantry-v2
	@deploy/try "$(QUICK)" "$(ROOT)"

stop: ## Stops what `make run` started
	"$(QUICK)/gantry" down --all --root "$(ROOT)"

check: ## Says in seconds whether what was changed is formatted and compiles
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
	$(SHIM_OPTIMIZED) --features failpoints
	cargo build --locked --workspace $(FAILPOINTS)
	mkdir -p $(CARGO_TARGET_DIR)/e2e
	install $(CARGO_TARGET_DIR)/debug/gantry $(CARGO_TARGET_DIR)/debug/gantryd \
	  $(CARGO_TARGET_DIR)/debug/gantry-volume-dir $(SHIM_BUILT) $(CARGO_TARGET_DIR)/e2e

test-e2e: test-binaries ## Runs the end-to-end, fault and architecture tests with real clients
	GANTRY_BIN=$(CARGO_TARGET_DIR)/e2e cargo test --locked -p gantry-tests -- --test-threads=2

test-vm: test-binaries ## Checks an installation on a stock machine, emulated: systemd, cgroup v2, AppArmor, a reboot
	@deploy/setup vm
	tests/vm/test "$(CARGO_TARGET_DIR)/e2e" "$(CARGO_TARGET_DIR)/clients" "$(CARGO_TARGET_DIR)/vm"

fuzz: setup ## Gives what reads bytes from outside those that coverage leads to: make fuzz [T=tar] [FOR=60]
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

package: build package-files ## Makes a Debian package of it, in PACKAGES

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

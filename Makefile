# Two commands do everything on a fresh Debian 12: `make demo` and `make test`.

.PHONY: help demo test test-full bench fuzz coverage init tools build dist setup clean

help:
	@echo "make demo       from nothing to a booted appliance (installs, builds, flashes, boots, reports)"
	@echo "make test       every test, boots included (what .ci/run calls)"
	@echo "make test-full  the longer matrices too"
	@echo "make bench      figures against peers of the same run"
	@echo "make fuzz       fuzzes every format (FUZZ_SECONDS=60 each)"
	@echo "make coverage   lines of core that the kept inputs of the fuzzers reach"
	@echo "make init       target/init/<arch>/genpack-init (INIT_ARCHES, default: x86_64 aarch64 riscv64)"
	@echo "make tools      target/tools/<arch>/genpack-tools, what build scripts of Gentoo artifacts call"
	@echo "make dist       target/dist/: a static tarball and a .deb"
	@echo "make build      target/release/genpack-host, the init and genpack-tools"

setup:
	@tools/setup.sh demo

setup-test:
	@tools/setup.sh test

setup-full:
	@tools/setup.sh full

INIT_ARCHES ?= x86_64 aarch64 riscv64

init:
	@tools/build-init.sh $(INIT_ARCHES)

tools:
	@tools/build-tools.sh

# Only this machine's init: those of other machines take compilers that are fetched first.
build:
	@tools/build-init.sh x86_64
	@tools/build-tools.sh x86_64
	cargo build --release --locked -p genpack-host

dist: setup
	@tools/dist.sh

demo: setup build
	@tools/demo.sh

test: setup-test
	./ci.sh all

test-full: setup-full
	./ci.sh full

bench: setup-test build
	@tools/bench.sh
	@tools/bench-pack.sh
	@tools/bench-build.sh
	@tools/bench-init.sh
	@tools/bench-vm.sh
	@tools/bench-flash.sh
	@tools/bench-look.sh

fuzz: setup-test
	@tools/fuzz.sh

coverage:
	@tools/coverage.sh

clean:
	rm -rf target demo artifacts/*/work artifacts/*/*.squashfs

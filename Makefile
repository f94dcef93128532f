# Needs rustup (or the toolchain that rust-toolchain.toml names), a C compiler and make; nothing else.
#
#   make test        formatting, lints, every test
#   make demo        store a file on three nodes, kill one, take over, read back, compare (INPUT=path for a file of yours)
#   make bench       appends beside the raw device, at depth 1 and 16
#   make test-long   the tests again, optimised and with many more cases

CARGO    ?= cargo
# The demo and the benchmark need a disk that takes direct writes: not tmpfs.
DEMO_DIR  ?= target/demo
BENCH_DIR ?= target/bench
INPUT     ?=

.PHONY: test demo bench test-long format components

test: components
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --workspace --locked

demo:
	$(CARGO) run --release --locked --package quarry -- demo --dir "$(DEMO_DIR)" $(if $(INPUT),--input "$(INPUT)")

bench:
	$(CARGO) build --release --locked --package quarry
	$(CARGO) run --release --locked --package quarry -- bench append --depth 1 --dir "$(BENCH_DIR)"
	$(CARGO) run --release --locked --package quarry -- bench append --depth 16 --dir "$(BENCH_DIR)"

# Tests that can do more read TEST_LONG.
test-long: components
	TEST_LONG=1 $(CARGO) test --release --workspace --locked

format: components
	$(CARGO) fmt --all

# rust-toolchain.toml asks for both; a toolchain that was installed without them gets them here.
components:
	@$(CARGO) fmt --version >/dev/null 2>&1 && $(CARGO) clippy --version >/dev/null 2>&1 || rustup component add rustfmt clippy

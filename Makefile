# Needs rustup (or the toolchain that rust-toolchain.toml names), a C compiler and make. The specification's checks need Java
# and python3 with pip besides: where Java is missing, tla/run installs Debian's.
#
#   make test        formatting, lints, every test, the planted bugs, the specification at small bounds, the traces
#   make demo        store a file on three nodes, kill one, take over, read back, compare (INPUT=path for a file of yours)
#   make bench       the quick suite: appends beside the raw device, a rate ladder, takeovers (SUITE=full for all)
#   make drill       real nodes treated badly while clients use them: DRILL_SECONDS=300 DRILL_SEED=
#   make test-long   the tests again, optimised and with many more cases
#
#   make sim         the deterministic simulator: SEEDS=1000 FROM=0 STEPS=2000
#   make certify     the same from a clean tree, with a receipt (RECEIPT=CERTIFICATE.md)
#   make planted     every bug on purpose has to be found
#   make tla         the specification at large bounds; writes tla/RESULTS.md
#   make traces      what real and simulated runs noted, against the specification (after the tests, which write it)

CARGO    ?= cargo
# The demo and the benchmark need a disk that takes direct writes: not tmpfs.
DEMO_DIR  ?= target/demo
BENCH_DIR ?= target/bench
# A suite that comes along, or a file: see bench/suites.
SUITE     ?= quick
DRILL_DIR ?= target/drill
DRILL_SECONDS ?= 300
# A random one unless it is given.
DRILL_SEED ?=
INPUT     ?=
SEEDS     ?= 1000
FROM      ?= 0
STEPS     ?= 2000
RECEIPT   ?= CERTIFICATE.md

SIM     = $(CARGO) test --profile sim --locked --package quarry-node --test sim --
# A build of its own: its bugs must not get into any other. Both packages at once: otherwise their dependencies are built twice.
PLANTED = RUSTFLAGS="--cfg planted" $(CARGO) test --profile sim --target-dir target/planted --locked \
	--package quarry-node --package quarry-protocol
TRACES  = target/tmp/traces

.PHONY: test demo bench drill test-long sim certify planted tla traces format components test-servers

test: components test-servers
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --workspace --locked
	$(MAKE) planted
	tla/run short
	$(MAKE) traces

sim:
	$(SIM) --seeds $(SEEDS) --from $(FROM) --steps $(STEPS)

certify:
	$(SIM) --seeds $(SEEDS) --from $(FROM) --steps $(STEPS) --certify "$(abspath $(RECEIPT))"

planted:
	$(PLANTED) --test sim -- --planted-all
	$(PLANTED) --test node -- --nocapture planted
	$(PLANTED) --test repair -- --nocapture planted

tla:
	RECORD=1 tla/run long

traces:
	mkdir -p $(TRACES)
	for seed in 3 8 21 34; do \
		$(CARGO) test --quiet --locked --workspace --test sim -- --seed $$seed --steps 600 \
			--trace $(CURDIR)/$(TRACES)/simulated-$$seed.tla --log 0 || exit 1; \
	done
	tla/run trace $(TRACES)/processes.tla $(TRACES)/simulated-*.tla
	tla/run reject $(TRACES)/corrupted.tla

demo:
	$(CARGO) run --release --locked --package quarry -- demo --dir "$(DEMO_DIR)" $(if $(INPUT),--input "$(INPUT)")

bench:
	$(CARGO) build --release --locked --package quarry
	$(CARGO) run --release --locked --package quarry -- bench run $(SUITE) --dir "$(BENCH_DIR)" --out "$(BENCH_DIR)/result"

drill:
	$(CARGO) run --release --locked --package quarry -- drill --dir "$(DRILL_DIR)" --seconds $(DRILL_SECONDS) \
		$(if $(DRILL_SEED),--seed $(DRILL_SEED))

# Tests that can do more read TEST_LONG.
test-long: components test-servers
	TEST_LONG=1 $(CARGO) test --release --workspace --locked

format: components
	$(CARGO) fmt --all

# Other people's servers that tests start: see deploy/test-servers.
test-servers:
	@deploy/test-servers/install

# rust-toolchain.toml asks for both; a toolchain that was installed without them gets them here.
components:
	@$(CARGO) fmt --version >/dev/null 2>&1 && $(CARGO) clippy --version >/dev/null 2>&1 || rustup component add rustfmt clippy

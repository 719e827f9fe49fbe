# What a user, a packager and a developer need. `make help` lists it.
PYTHON ?=
VENV ?= .venv
BIN := $(VENV)/bin
DESTDIR ?=
PREFIX ?= /usr/local
UNITS ?= $(PREFIX)/lib
SYSCONF ?= /etc
JOBS ?= 3
SOAK_MINUTES ?= 60
SOAK_SEED ?=
CUTS ?= 20
YEAR_MINUTES ?= 60
REBOOTS ?= 3
FAULTS ?= 300
SEED ?= $(SOAK_SEED)

# Versions and hashes come from the lock files alone: nothing is resolved, so newer releases change nothing.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --no-build-isolation --use-pep517
# With all cores, where pip would use one. What cannot be compiled is a library's template, and not our business.
COMPILE := $(BIN)/python -m compileall -q -j 0 $(VENV)/lib > /dev/null || true

.DEFAULT_GOAL := help
.PHONY: help demo demo-cluster test lint check coverage bench bench-short bench-compare soak soak-machine peers fresh-machines docs screenshots lock install uninstall dist deb clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## Install into .venv, then run the main job end to end against the built-in sandbox
	$(BIN)/cdsed demo

demo-cluster: $(VENV)/.installed ## The same, with the connections in three workers of Dask on this machine; it prints which fetched what
	$(BIN)/cdsed demo --cluster

test: $(VENV)/.tests-installed ## Install the test tools too, then run the tests, JOBS (3) at a time; TESTS= names some
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(TESTS)

lint: $(VENV)/.tests-installed ## Lint and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

check: lint ## Lint, types, layers: what must be clean before a commit
	$(BIN)/python -m pytest -q --numprocesses $(JOBS) tests/architecture

coverage: $(VENV)/.tests-installed ## Run the tests under coverage; print it by room, with what model, store, work, process, transfer lack
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -o timeout=600; tests=$$?; \
		$(BIN)/coverage combine -q && $(BIN)/python -m tests.rooms_covered && exit $$tests

bench: $(VENV)/.tests-installed ## Measure, as ratios against programs of others (1 h; needs the index, 15 GB and a quiet machine)
	$(BIN)/python -m tests.benchmarks $(BENCHMARKS)

bench-short: $(VENV)/.tests-installed ## Measure the most telling part of it, in 5 minutes
	$(BIN)/python -m tests.benchmarks --short $(BENCHMARKS)

bench-compare: $(VENV)/.installed ## Print what changed between two runs of it: OLD=a.json NEW=b.json
	$(BIN)/python -m tests.benchmarks.compare $(OLD) $(NEW)

soak: $(VENV)/.tests-installed ## Kill and break it at random for SOAK_MINUTES (60)
	CDSED_SOAK_MINUTES=$(SOAK_MINUTES) CDSED_SOAK_SEED=$(SOAK_SEED) $(BIN)/python -m pytest -m soak -o timeout=0 -s tests

soak-machine: $(VENV)/.tests-installed ## Cut the power of disks with volatile caches CUTS (20) times, print a table, let networks and disks fail, a cluster have FAULTS (300), systemd stop, kill and reload it, reboot a whole machine REBOOTS (3) times, and let a year pass in YEAR_MINUTES (60; root); SEED= repeats it
	CDSED_YEAR_MINUTES=$(YEAR_MINUTES) CDSED_REBOOTS=$(REBOOTS) CDSED_CLUSTER_FAULTS=$(FAULTS) CDSED_POWER_CUTS=$(CUTS) CDSED_SOAK_SEED=$(SEED) $(BIN)/python -m pytest -m soak -o timeout=0 -s tests/soak/power tests/soak/network tests/soak/cluster tests/soak/disks tests/soak/systemd tests/soak/guest tests/soak/year

peers: $(VENV)/.tests-installed ## Install the clients of others into build/ (needs the index; minutes), and run them at the sandbox
	$(BIN)/python -m pytest -m peers tests/peers

fresh-machines: $(VENV)/.tests-installed ## Try the two commands on fresh Debians and other Pythons; a line each (root, hours); PYTHONS=a:b, MACHINES=debian-12
	CDSED_PYTHONS='$(PYTHONS)' CDSED_TESTS='$(TESTS)' $(BIN)/python -m tests.packaging.machines $(MACHINES)

docs: $(VENV)/.tests-installed ## Write what is generated: docs/states.md, errors.md, configuration.md, the JSON Schemas, evidence.md, listings-of-other-tools.md, tables.md, servers.md, schema.sql, sandbox-clients.md, the completions
	$(BIN)/python -m tests.architecture.states
	$(BIN)/python -m tests.architecture.errors_page
	$(BIN)/python -m tests.architecture.configuration_page
	$(BIN)/python -m tests.architecture.editor_schemas
	$(BIN)/python -m tests.architecture.evidence_page
	$(BIN)/python -m tests.architecture.other_tools_page
	$(BIN)/python -m tests.architecture.schema_page
	$(BIN)/python -m tests.architecture.servers_page
	$(BIN)/python -m tests.packaging.completions
	$(BIN)/python -m tests.peers.clients_page

screenshots: $(VENV)/.tests-installed ## Write docs/pictures/ from a sandbox run: look at them before you commit
	$(BIN)/python -m tests.screenshots
	$(BIN)/python -m tests.screenshots.page

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock: $(VENV)/.tests-installed ## Resolve the versions of the lock files again (needs uv and the index; minutes)
	$(LOCK) --extra sandbox --extra web --extra stac --extra dask pyproject.toml --output-file requirements.lock
	$(LOCK) --constraint requirements.lock --group build --output-file requirements-build.lock
	$(LOCK) --constraint requirements.lock --constraint requirements-build.lock --group test --output-file requirements-test.lock
	$(BIN)/python -m tests.packaging.lock

# cdsed itself is linked, not copied. --copies would not follow an upgrade of the system's Python.
$(VENV)/.installed: requirements.lock requirements-build.lock pyproject.toml
	@echo 'Installing into $(VENV): about half a minute'
	@python=$$(packaging/find-python $(if $(PYTHON),'$(PYTHON)')) && "$$python" -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements-build.lock
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --editable .
	@$(COMPILE)
	@touch $@

# The tests of crash points stop processes at exact system calls; without strace they are skipped, and say so. Those of
# the page need Chromium.
$(VENV)/.tests-installed: $(VENV)/.installed requirements-test.lock
	@echo 'Installing the test tools into $(VENV)'
	@$(PIP) --require-hashes -r requirements-test.lock
	@$(COMPILE)
	@command -v strace > /dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && \
		{ apt-get install -qq -y strace || { apt-get update -qq && apt-get install -qq -y strace; }; } > /dev/null 2>&1; } || \
		echo "strace is missing and could not be installed: the tests of crash points will be skipped" >&2
	@command -v chromedriver > /dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && \
		{ apt-get install -qq -y chromium chromium-driver || { apt-get update -qq && apt-get install -qq -y chromium chromium-driver; }; } \
		> /dev/null 2>&1; } || \
		echo "chromium and its driver are missing and could not be installed: the tests of the page will be skipped" >&2
	@touch $@

INSTALL = DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' UNITS='$(UNITS)' SYSCONF='$(SYSCONF)' PYTHON='$(PYTHON)' packaging/install.sh
install: ## Install under DESTDIR and PREFIX (/usr/local), with units, man page and completions
	@$(INSTALL) install

uninstall: ## Remove what `make install` laid down; state, products, settings and accounts stay
	@$(INSTALL) uninstall

dist: $(VENV)/.installed ## Make dist/: a wheel and a source archive
	$(BIN)/python -m hatchling build -d dist

deb: ## Make dist/cdsed_*.deb for this Debian and its Python, with all libraries in it
	PYTHON='$(PYTHON)' packaging/deb.sh

clean: ## Remove the virtual environment and what tools left behind
	rm -rf --one-file-system $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist .coverage .coverage.*

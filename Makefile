# What a developer, a packager and a curious user need. `make help` lists it.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
DESTDIR ?=
PREFIX ?= /usr/local
UNITS ?= $(PREFIX)/lib
SYSCONF ?= /etc
JOBS ?= 3
SOAK_MINUTES ?= 60
SOAK_SEED ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check coverage bench soak docs lock install clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## Install, then run the main job end to end against the built-in sandbox
	$(BIN)/cdsed demo

test: $(VENV)/.installed $(VENV)/.strace ## Install, then run the tests, JOBS (3) at a time
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal

check: $(VENV)/.installed ## Lint, types, layers: what must be clean before a commit
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/architecture

coverage: $(VENV)/.installed ## Run the tests under coverage; print it by room, with what model, store, work, process, transfer lack
	$(BIN)/coverage erase
	-$(BIN)/coverage run -m pytest -q -o timeout=600
	$(BIN)/coverage combine -q
	$(BIN)/python -m tests.rooms_covered

bench: $(VENV)/.installed ## Measure, as ratios against something run beside it
	$(BIN)/python -m tests.benchmarks

soak: $(VENV)/.installed ## Kill and break it at random for SOAK_MINUTES (60)
	CDSED_SOAK_MINUTES=$(SOAK_MINUTES) CDSED_SOAK_SEED=$(SOAK_SEED) $(BIN)/python -m pytest -m soak -o timeout=0 -s tests

docs: $(VENV)/.installed ## Write anew what is generated: docs/states.md, docs/blame.md
	$(BIN)/python -m tests.architecture.states
	$(BIN)/python -m tests.architecture.blame_page

lock: ## Resolve the pinned versions of requirements.lock anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--group dev pyproject.toml --output-file requirements.lock

# The lock file pins every version and hash; cdsed itself is linked, not copied.
$(VENV)/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "cdsed needs Python 3.11 or newer: install it, or make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

# The tests of crash points stop processes at exact system calls; without strace they are skipped, and say so.
$(VENV)/.strace: $(VENV)/.installed
	@command -v strace > /dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && \
		{ apt-get install -qq -y strace || { apt-get update -qq && apt-get install -qq -y strace; }; } > /dev/null 2>&1; } || \
		echo "strace is not there and could not be installed: the tests of crash points will be skipped" >&2
	@touch $@

# Libraries lie in their own directory, so that nothing of the system's Python changes.
install: $(VENV)/.installed ## Install under DESTDIR and PREFIX (/usr/local), with systemd units
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/cdsed $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/doc/cdsed $(DESTDIR)$(UNITS)/systemd/system $(DESTDIR)$(UNITS)/sysusers.d \
		$(DESTDIR)$(UNITS)/tmpfiles.d $(DESTDIR)$(SYSCONF)/cdsed
	mkdir -p build
	sed -n 's/^\([a-z0-9-]*==[^ ]*\).*/\1/p' requirements.lock > build/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --upgrade \
		--constraint build/constraints.txt --target $(DESTDIR)$(PREFIX)/lib/cdsed .
	printf '#!/bin/sh\nPYTHONPATH=%s exec %s -P -m cdsed "$$@"\n' '$(PREFIX)/lib/cdsed' \
		"$$($(BIN)/python -c 'import os, sys; print(os.path.realpath(sys._base_executable))')" > $(DESTDIR)$(PREFIX)/bin/cdsed
	chmod 755 $(DESTDIR)$(PREFIX)/bin/cdsed
	for unit in cdsed cdsed@; do sed 's|/usr/bin/cdsed|$(PREFIX)/bin/cdsed|' systemd/$$unit.service \
		> $(DESTDIR)$(UNITS)/systemd/system/$$unit.service; done
	install -m 644 systemd/cdsed.sysusers.conf $(DESTDIR)$(UNITS)/sysusers.d/cdsed.conf
	install -m 644 systemd/cdsed.tmpfiles.conf $(DESTDIR)$(UNITS)/tmpfiles.d/cdsed.conf
	install -m 644 docs/cdsed.1 $(DESTDIR)$(PREFIX)/share/man/man1/cdsed.1
	install -m 644 etc/cdsed.yml etc/accounts.example.yml $(DESTDIR)$(PREFIX)/share/doc/cdsed/
	test -e $(DESTDIR)$(SYSCONF)/cdsed/cdsed.yml || install -m 644 etc/cdsed.yml $(DESTDIR)$(SYSCONF)/cdsed/cdsed.yml

clean: ## Remove the virtual environment and what tools left behind
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist .coverage .coverage.*

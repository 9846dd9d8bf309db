# `make` lists the targets. Needs Python >= 3.11 with pip, and make; everything else goes into .venv.

# The first of these that really runs and is new enough (a pyenv shim may exist and still not run).
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)

BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input
LOCK_VENV := build/lock-venv

.DEFAULT_GOAL := help
.PHONY: help .venv demo test lint types check format serve bench lock phoenix-lock clean

help: ## list the targets
	@sed -n 's/^\([a-z.]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r t d; do printf '%-14s %s\n' "$$t" "$$d"; done

.venv: .venv/.installed ## install everything into .venv, exactly as locked

.venv/.installed: pyproject.toml requirements.lock
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "The gateway needs Python 3.11 or newer, and none was found: install one, or name it with make PYTHON=/path/to/python3." >&2; exit 1; }
	@$(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { rm -rf .venv && echo "Installing into .venv; this takes about a minute."; }
	@# Without Debian's python3-venv there is no ensurepip: then the system's pip puts pip into .venv.
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv >/dev/null 2>&1 || { \
		"$(PYTHON)" -m venv --clear --without-pip .venv && "$(PYTHON)" -m pip -qq --disable-pip-version-check --python $(BIN)/python install pip; } || { \
		echo "Could not create .venv with $(PYTHON): see the message above; on Debian and Ubuntu, apt install python3-venv." >&2; exit 1; }
	@# Wheels only, so no compiler is needed; localstripe (pure Python, demo and tests) is published as source.
	@$(PIP) install --require-hashes --only-binary :all: --no-binary localstripe -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

build/phoenix-venv: tests/phoenix/requirements.lock | .venv ## a receiver of traces that nobody here wrote, for tests/test_phoenix.py
	@rm -rf $@ && $(BIN)/python -m venv --without-pip $@ && $(BIN)/python -m pip -qq --disable-pip-version-check --python $@/bin/python \
		install --no-input --require-hashes -r tests/phoenix/requirements.lock || { rm -rf $@; exit 1; }

demo: .venv ## the whole story in one transcript, on real processes; ends by itself
	@$(BIN)/gateway demo

test: .venv ## all tests, on a real Valkey
	@$(BIN)/python -m pytest -q

lint: .venv ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv ## mypy, strict
	@$(BIN)/mypy

check: lint types test ## lint, types and tests: what must pass before a commit

format: .venv ## let ruff repair what it can
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

serve: .venv ## run the gateway with routes.yaml and policies/
	@$(BIN)/gateway serve

bench: .venv ## CPU per call, beside ungoverned proxies in the same run
	@$(BIN)/python -m bench

# Keeps the versions already locked; `make lock LOCK=--upgrade` takes newer ones.
lock: ## write requirements.lock anew from pyproject.toml
	@test -x $(LOCK_VENV)/bin/uv || { "$(PYTHON)" -m venv $(LOCK_VENV) && $(LOCK_VENV)/bin/python -m pip -qq --disable-pip-version-check install uv; }
	@$(LOCK_VENV)/bin/uv pip compile pyproject.toml --extra demo --group dev --universal --python-version 3.11 --generate-hashes \
		--quiet --custom-compile-command "make lock" $(LOCK) -o requirements.lock

phoenix-lock: ## write tests/phoenix/requirements.lock anew from requirements.in
	@test -x $(LOCK_VENV)/bin/uv || { "$(PYTHON)" -m venv $(LOCK_VENV) && $(LOCK_VENV)/bin/python -m pip -qq --disable-pip-version-check install uv; }
	@$(LOCK_VENV)/bin/uv pip compile tests/phoenix/requirements.in --universal --python-version 3.11 --generate-hashes \
		--quiet --custom-compile-command "make phoenix-lock" $(LOCK) -o tests/phoenix/requirements.lock

clean: ## remove what make made (.venv and caches); .gateway, the data, stays
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

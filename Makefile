# `make demo` or `make test` is the first command on a fresh machine: each does the set-up it needs, once. `make help` lists the rest.
# The set-up is in ops/setup.sh; its stamps stand inside what they vouch for, so removing .venv or node_modules undoes them.

PYTHON := .venv/bin/python
# Where Node is missing, ops/setup.sh puts PyPI's into .venv/bin; whatever the machine has comes first.
export PATH := $(PATH):$(CURDIR)/.venv/bin
export PYTHONUNBUFFERED := 1
.SUFFIXES:
.PHONY: help setup demo test test-long check format bench lock tag contract clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

setup: .venv/.installed node_modules/.installed .venv-ministack/.installed .venv/.system-packages  ## everything `make test` needs, and no more
	@:

demo: .venv/.installed node_modules/.installed  ## the whole box on this machine, until Ctrl-C; ONCE=1 drives the story through it and ends
	@.venv/bin/box $(if $(ONCE),demo --once,up) $(ARGS)

test: setup  ## every test, browsers and real nodes included
	@$(PYTHON) -m pytest -n 2 --dist loadfile -m "not long" $(ARGS)

test-long: setup  ## the long forms: full fuzz, chaos, soak
	@$(PYTHON) -m pytest -m long --timeout 14400 $(ARGS)

check: .venv/.installed  ## format, lint, types
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy

format: .venv/.installed  ## what `make check` would ask for, done
	@$(PYTHON) -m ruff format .
	@$(PYTHON) -m ruff check --fix .

bench: setup  ## the benchmark tables
	@for table in bench/[a-z]*.py; do $(PYTHON) -m bench.$$(basename $$table .py) || exit 1; done

tag: node_modules/.installed  ## build the tag from tag/src
	@node tag/build.mjs

contract: .venv/.installed  ## compile the network contract
	@$(PYTHON) -m ops.compile_contract

LOCK := .venv/bin/uv pip compile --quiet --universal --no-header --no-annotate --python-version 3.11 --upgrade
lock: .venv/.installed  ## pin every transitive version of what pyproject.toml and package.json name
	@$(LOCK) pyproject.toml --output-file requirements.txt
	@$(LOCK) pyproject.toml --group dev --output-file requirements-dev.txt
	@npm install --package-lock-only --ignore-scripts --no-audit --no-fund

clean:  ## forget the set-up and the demo's data
	@rm -rf .venv .venv-ministack node_modules .data

.venv/.installed: requirements-dev.txt pyproject.toml ops/setup.sh
	@ops/setup.sh python

node_modules/.installed: package-lock.json .npmrc ops/setup.sh | .venv/.installed
	@ops/setup.sh node

.venv-ministack/.installed: requirements-ministack.txt | .venv/.installed
	@ops/setup.sh local-aws

.venv/.system-packages: ops/setup.sh | .venv/.installed
	@ops/setup.sh system

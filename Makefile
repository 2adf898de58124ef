# The newest Python that is new enough and whole; PYTHON=… chooses another. Where none is,
# bootstrap.py says of python3 what it lacks.
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && exit; done; command -v python3)
endif
BIN := .venv/bin

.PHONY: help env run test check bench bench-full bench-check chaos lock clean

help:
	@echo "make run    start everything here and play the tour (SRC=folder, ARGS=--once)"
	@echo "make test   the whole suite (ARGS=... goes to pytest)"
	@echo "make check  format, lint, types, direction of imports"
	@echo "make bench  what a command costs (ARGS=ledger); writes docs/benchmarks.md"
	@echo "make bench-full   with the rows that take long, such as 1,000,000 open commands"
	@echo "make bench-check  has a ratio fallen since those that are committed?"
	@echo "make chaos  what is lost when processes are killed: an hour (ONLY=kills)"
	@echo "make lock   choose the newest versions anew"

env:
	@test -n "$(PYTHON)" || { echo "signalbox: install Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) bootstrap.py

run: env
	@$(BIN)/signalbox up --tour $(if $(SRC),--src "$(SRC)") $(ARGS)

test: env
	@$(BIN)/python tests/servers/install.py
	@$(BIN)/python -m pytest $(or $(ARGS),-n 3 --dist loadfile)

check: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: env
	@$(BIN)/python -m benchmarks $(ARGS)

bench-full: env
	@$(BIN)/python -m benchmarks --full $(ARGS)

bench-check: env
	@$(BIN)/python -m benchmarks --check $(ARGS)

# A row has spaces in its name: ONLY="'kills:threads, long' stop".
chaos: env
	@$(BIN)/python -m tests.chaos $(ONLY)

lock: env
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--all-extras --no-emit-index-url --no-emit-find-links --upgrade \
		--custom-compile-command "make lock" pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .signalbox .mypy_cache .pytest_cache .ruff_cache

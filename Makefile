# The newest Python that is new enough and whole; PYTHON=… chooses another. Where none is,
# bootstrap.py says of python3 what it lacks.
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && exit; done; command -v python3)
endif
BIN := .venv/bin
# The tests start hundreds of processes: each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
LOCK := $(COMPILE) pyproject.toml

.PHONY: help env run test test-fast test-long check fix bench bench-full bench-check chaos coverage docs lock clean

help:
	@echo "make run    start everything here and play the tour (SRC=folder, ARGS=--once)"
	@echo "make test   the whole suite (ARGS=... goes to pytest)"
	@echo "make test-long    the whole suite with more rounds of the randomised tests"
	@echo "make test-fast    what needs no servers and no workers: under a minute"
	@echo "make check  format, lint, types, direction of imports"
	@echo "make fix    format, and fix what the linter can"
	@echo "make bench  what a command costs (ARGS=ledger); writes docs/benchmarks.md"
	@echo "make bench-full   with the rows that take long, such as 1,000,000 open commands"
	@echo "make bench-check  report ratios that are worse than the committed ones"
	@echo "make chaos  count lost and doubled effects while processes are killed: an hour (ONLY=kills)"
	@echo "make coverage     which lines the tests run (ARGS=tests/unit); pages in build/coverage/html"
	@echo "make docs   build the pages in docs/ as a site; a dead link fails"
	@echo "make lock   update all versions"

env: env-dev

# What a goal needs: env-run, or env-dev with tests, checks and benchmarks.
env-%:
	@test -n "$(PYTHON)" || { echo "signalbox: install Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) bootstrap.py $*

run: env-run
	@$(BIN)/signalbox up --tour $(if $(SRC),--src "$(SRC)") $(ARGS)

test: env-dev
	@$(BIN)/python tests/servers/install.py
	@$(BIN)/python -m pytest $(or $(ARGS),-n 4 --dist loadfile --no-loadscope-reorder)

test-long:
	@TESTS_LONG=1 $(MAKE) test

test-fast: env-dev
	@$(BIN)/python -m pytest $(or $(ARGS),-n 2 tests/unit)

check: env-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: env-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: env-dev
	@$(BIN)/python -m benchmarks $(ARGS)

bench-full: env-dev
	@$(BIN)/python -m benchmarks --full $(ARGS)

bench-check: env-dev
	@$(BIN)/python -m benchmarks --check $(ARGS)

# A row has spaces in its name: ONLY="'kills:threads, long' stop".
chaos: env-dev
	@$(BIN)/python -m tests.chaos $(ONLY)

# Worker processes are measured too. One that is killed by a test leaves no data.
coverage: env-dev
	@rm -rf build/coverage && mkdir -p build
	@$(BIN)/coverage run -m pytest $(ARGS); status=$$?; $(BIN)/coverage combine --quiet && \
	$(BIN)/coverage html --quiet && $(BIN)/coverage report && exit $$status

# With tools of its own, since nothing that runs, tests or checks Signalbox needs them. Not with
# `--quiet`, which keeps `--strict` from counting warnings.
docs: .venv-docs/stamp
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	@echo "the site is in build/site: open build/site/index.html"

.venv-docs/stamp: requirements-docs.lock
	@test -n "$(PYTHON)" || { echo "signalbox: install Python 3.11 or newer" >&2; exit 1; }
	@echo "installing requirements-docs.lock into .venv-docs (once)"
	@$(PYTHON) -m venv --clear .venv-docs
	@.venv-docs/bin/python -m pip install --quiet --require-hashes -r requirements-docs.lock
	@touch $@

# The locks of `make run` and of the image hold parts of the first, in the same versions.
lock: env-dev
	$(LOCK) --all-extras --upgrade -o requirements-dev.lock
	$(LOCK) --extra install --extra embedded --extra backends \
		-c requirements-dev.lock -o requirements.lock
	$(LOCK) --extra install --extra backends --extra gateway --extra flower --extra proof \
		-c requirements-dev.lock -o requirements-image.lock
	$(COMPILE) --group docs --upgrade -o requirements-docs.lock

clean:
	rm -rf .venv .venv-docs .signalbox .mypy_cache .pytest_cache .ruff_cache

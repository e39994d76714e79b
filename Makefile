# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport PYTHONDONTWRITEBYTECODE  # compiling everything anew makes each start of a stage 3 times slower
PYTEST := pytest --numprocesses auto --dist worksteal

.PHONY: help predict demo test test-slow coverage check setup

help:                  ## list these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1\t/p' $(MAKEFILE_LIST) | expand -t 12

MODEL ?= markitantov/ORAGEN

predict: setup         ## predict CLIP=clip.mp4 by the released model (1.7 GB, once), or by MODEL=<folder>
	@test -n "$(CLIP)" || { echo "Name a clip: make predict CLIP=clip.mp4" >&2; exit 2; }
	oragen predict "$(CLIP)" --model "$(MODEL)"

# `oragen generate` checks params.yaml before DVC uses the names in it.
demo: setup            ## make the demo corpora, run the pipeline on them, show the results
	oragen generate
	test -e .git || dvc config --local core.no_scm true  # such as an unpacked ZIP file
	dvc repro
	oragen results

test: setup            ## the quick tests; beside them the checks, whose output comes at the end
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	$(MAKE) --no-print-directory check >"$$log" 2>&1 & checks=$$!; \
	$(PYTEST); tests=$$?; \
	wait $$checks; status=$$?; cat "$$log"; \
	[ $$tests -eq 0 ] && [ $$status -eq 0 ]

test-slow: setup       ## the tests marked `slow`: whole pipelines on real clips, kill -9, benchmarks
	$(PYTEST) -m slow

coverage: setup        ## which lines of oragen all the tests run
	$(PYTEST) -m "not gpu" --cov=oragen --cov-report=term:skip-covered

check: setup           ## lint, spelling, types, import contracts, the scripts of the page
	ruff check .
	ruff format --check .
	codespell
	mypy
	lint-imports
	oxlint oragen/app/page

setup: .venv/installed ## make .venv with exactly the versions this was tested with

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps resemblyzer  # a file of weights
	touch $@

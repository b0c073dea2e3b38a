# `make run` and `make test` do everything on a fresh machine: they set up .venv first, and again only when pins change.
PYTHON ?= python3
SUITE ?= suites/audio.yaml
BIN := .venv/bin

.PHONY: run test lint bench setup clean
.DEFAULT_GOAL := run

setup:
	@cat pyproject.toml constraints.txt | cmp -s - .venv/pins || { \
	  echo "setting up .venv (once; a few minutes)" && \
	  $(PYTHON) -m venv .venv && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,lint]' && \
	  cat pyproject.toml constraints.txt > .venv/pins; }

run: setup
	$(BIN)/python -m harness run $(SUITE)

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m pytest tests/bench -s

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis

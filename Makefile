# `make run` and `make test` do everything on a fresh machine: they set up .venv first, and again only when pins change.
PYTHON ?= python3
SUITE ?= suites/audio.yaml
BIN := .venv/bin

.PHONY: run gate test test-hard test-clip test-clap test-page lint bench bench-tests setup clean
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
	$(BIN)/python -m pytest -n 2 --dist worksteal

# The same tests where it is harder: uninitialised memory holds NaN, the processor has no bfloat16 and no AVX-512, there
# are two threads, and tests come in random order.
test-hard: setup
	HARNESS_TEST_FILL=nan HARNESS_TEST_THREADS=2 ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 \
	  $(BIN)/python -m pytest -n 2 --dist worksteal -p randomly

# Encoders of packages that `make test` leaves out, each in an environment of its own: its tests are skipped there, and
# of the suite that names it all rows run only here.
test-clip:
	@test -f .venv-clip/ready || { \
	  $(PYTHON) -m venv .venv-clip && \
	  .venv-clip/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,clip]' && \
	  touch .venv-clip/ready; }
	.venv-clip/bin/python -m pytest tests/baselines/test_open_clip_encoder.py tests/conformance -k 'clip'
	.venv-clip/bin/python -m pytest tests/contest/test_recorded_suites.py -k image

# laion-clap wants a numpy before 2.
test-clap:
	@test -f .venv-clap/ready || { \
	  $(PYTHON) -m venv .venv-clap && \
	  .venv-clap/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-clap.txt -e '.[test,clap]' && \
	  touch .venv-clap/ready; }
	.venv-clap/bin/python -m pytest tests/baselines/test_laion_clap_encoder.py
	.venv-clap/bin/python -m pytest tests/contest/test_recorded_suites.py -k audio

# The page of a report in a real browser, which has to be there; without one its tests are skipped, with the reason.
AXE ?= node_modules/axe-core/axe.min.js
test-page:
	@test -f .venv-page/ready || { \
	  $(PYTHON) -m venv .venv-page && \
	  .venv-page/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,page]' && \
	  touch .venv-page/ready; }
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
	  echo "there is no browser to test in: apt-get install chromium chromium-driver"
	@test -f $(AXE) || echo "without axe-core accessibility is not checked: npm install --no-save axe-core, or AXE=FILE"
	HARNESS_AXE=$(AXE) .venv-page/bin/python -m pytest tests/report/test_page.py tests/page -rs

# suites/smoke.yaml is as good as its reference; what is learnt comes frozen with that. Made anew: remove the folder, then
# `make gate UPDATE=--update`, which trains; without removing it, what is frozen stays and only the answers are new.
gate: setup
	$(BIN)/python -m harness check suites/smoke.yaml --against results/reference/smoke $(UPDATE)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Ratios against rivals, as results/kernels.md: about eight minutes, on a quiet machine.
bench: setup
	$(BIN)/python tests/bench/ratios.py

# Limits of time and memory; figures of single kernels: bench-tests BENCH='tests/bench/test_kernels.py -k tree'.
BENCH ?= tests/bench
bench-tests: setup
	$(BIN)/python -m pytest $(BENCH) -s --benchmark-enable

clean:
	rm -rf .venv .venv-clip .venv-clap .venv-page build .pytest_cache .mypy_cache .ruff_cache .hypothesis

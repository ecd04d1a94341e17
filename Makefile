# The one door for daily work. `make demo` and `make test` need Python >= 3.11, make and git only:
# everything else is installed into .venv by the stamps below, once, and again when pyproject.toml
# changes.

PYTHON ?= $(shell for p in python3.11 python3 python3.14 python3.13 python3.12; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && echo $$p && break; done)
VENV := .venv
AGAINST := .venv-against
BIN := $(VENV)/bin
PIP_FLAGS := --quiet --quiet --disable-pip-version-check --no-input
RUNTIME := $(VENV)/.stamp-runtime
DEVELOP := $(VENV)/.stamp-develop
REFERENCE := $(AGAINST)/.stamp
MEGATRON := $(AGAINST)/megatron-core/.stamp
BRIDGE := $(AGAINST)/megatron-bridge/.stamp
DEEPSPEED := $(AGAINST)/.stamp-deepspeed
VLLM := $(AGAINST)/vllm-python/.stamp
SGLANG := $(AGAINST)/sglang-python/.stamp
REFERENCE_LOG := $(AGAINST)/pytest.log
SOURCES := src benchmarks tests docs
PYTEST_FLAGS ?= -q

# The reference tools need torch; this release has a CPU-only build for Python 3.11, so it goes first:
# a later "torch" in somebody's requirements then finds it there and asks for nothing more.
REFERENCE_TORCH := torch==2.13.0

# DeepSpeed comes as source: its kernels are left out, and its requirements are in pyproject.toml.
REFERENCE_DEEPSPEED := deepspeed==0.19.8

.DEFAULT_GOAL := help
.PHONY: help setup demo fmt lint type layers test pytest against slurm browser docs data fresh bench smoke clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort \
	  | awk 'BEGIN {FS = ":.*## *"} {printf "  make %-8s %s\n", $$1, $$2}'

setup: $(DEVELOP)  ## make .venv with everything for development

demo: $(RUNTIME)  ## plan the training of a 405 B model on 16,384 accelerators
	@$(BIN)/clusterwright plan train llama-3.1-405b --cluster meta-24k --accelerators 16384 --tokens 15.6T

fmt: $(DEVELOP)  ## format the code and mend what can be mended
	@$(BIN)/ruff format --quiet $(SOURCES)
	@$(BIN)/ruff check --quiet --fix $(SOURCES)

lint: $(DEVELOP)  ## format, lint and spelling
	@echo "== lint"
	@$(BIN)/ruff format --quiet --diff $(SOURCES)
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/codespell

type: $(DEVELOP)  ## types, strictly
	@echo "== types"
	@$(BIN)/mypy --no-error-summary

layers: $(DEVELOP)  ## who may import whom
	@echo "== layers"
	@$(BIN)/lint-imports --no-logo > $(VENV)/layers.log || { cat $(VENV)/layers.log; exit 1; }

data: $(DEVELOP)  ## compile catalogue/*.toml to the shipped JSON
	@$(BIN)/python -m clusterwright.catalogue.compiling

fresh: $(DEVELOP)
	@echo "== catalogue is compiled"
	@$(BIN)/python -m clusterwright.catalogue.compiling --check
	@echo "== generated parts of the pages are fresh"
	@$(BIN)/python docs/generate.py --check

bench: $(DEVELOP)  ## speed and size of what users feel, against the goals
	@$(BIN)/python -m benchmarks

smoke: $(DEVELOP)
	@echo "== benchmarks, each once"
	@$(BIN)/python -m benchmarks --smoke

pytest: $(DEVELOP)
	@$(MAKE) --silent --no-print-directory browser
	@echo "== tests, doctests and the examples of the pages"
	@$(BIN)/python -m pytest $(PYTEST_FLAGS)

# Cheap checks first. pytest's closing line is the last test line of the output: `against` keeps its
# own to a log, which it shows only when a check fails.
test:  ## everything that continuous integration runs
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory type
	@$(MAKE) --no-print-directory layers
	@$(MAKE) --no-print-directory fresh
	@$(MAKE) --no-print-directory smoke
	@$(MAKE) --no-print-directory pytest
	@$(MAKE) --no-print-directory against

docs: $(DEVELOP)  ## write the generated parts of the pages anew, and run every example
	@$(BIN)/python docs/generate.py
	@$(BIN)/python -m pytest $(PYTEST_FLAGS) tests/test_docs.py tests/test_nomenclature.py

against:  ## compare with the reference tools, in a heavy environment of its own
	@echo "== against the reference tools"
	@if ! $(MAKE) --silent --no-print-directory $(REFERENCE); then \
	  echo "!!!! AGAINST SKIPPED: the reference tools could not be installed (see above) !!!!"; \
	  exit 0; \
	fi; \
	$(MAKE) --silent --no-print-directory $(MEGATRON) \
	  || echo "!!!! AGAINST: Megatron could not be fetched (see above); its checks are skipped !!!!"; \
	$(MAKE) --silent --no-print-directory slurm; \
	$(MAKE) --silent --no-print-directory $(BRIDGE) \
	  || echo "!!!! AGAINST: Megatron-Bridge could not be fetched (see above); its checks are skipped !!!!"; \
	$(MAKE) --silent --no-print-directory $(DEEPSPEED) \
	  || echo "!!!! AGAINST: DeepSpeed could not be installed (see above); its checks are skipped !!!!"; \
	for tool in $(VLLM) $(SGLANG); do \
	  $(MAKE) --silent --no-print-directory $$tool \
	    || echo "!!!! AGAINST: $$tool could not be made (see above); its checks are skipped !!!!"; \
	done; \
	if $(AGAINST)/bin/python -m pytest -q -rs -m against -W default tests > $(REFERENCE_LOG) 2>&1; then \
	  sed -n -e 's/^SKIPPED/!!!! AGAINST SKIPPED/p' $(REFERENCE_LOG); \
	  tail -n 1 $(REFERENCE_LOG) | sed -e 's/passed/checks agree/' -e 's/^[= ]*/against: /'; \
	elif [ $$? -eq 5 ]; then \
	  echo "against: there is nothing to compare yet"; \
	else \
	  cat $(REFERENCE_LOG); exit 1; \
	fi

browser:
	@if [ -n "$$CI" ] && [ "$$(id -u)" = 0 ] && ! command -v chromium > /dev/null \
	    && command -v apt-get > /dev/null; then \
	  echo "== installing Chromium to look at the pages with"; \
	  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
	    --no-install-recommends chromium fonts-dejavu-core; } > $(VENV)/chromium.log 2>&1 \
	    || echo "!!!! TESTS: Chromium could not be installed ($(VENV)/chromium.log); pages are not looked at !!!!"; \
	fi

# Packages of the system are put only on machines that are nobody's: in CI, and as root. Elsewhere the
# checks with Slurm and Chromium run where they are installed, and say so loudly where they are not.
slurm:
	@if [ -n "$$CI" ] && [ "$$(id -u)" = 0 ] && [ ! -x /usr/sbin/slurmctld ] \
	    && command -v apt-get > /dev/null; then \
	  echo "== installing Slurm (12 MB) to check batch scripts with"; \
	  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
	    --no-install-recommends slurmctld slurmd slurm-client munge; } > $(AGAINST)/slurm.log 2>&1 \
	    || echo "!!!! AGAINST: Slurm could not be installed ($(AGAINST)/slurm.log) !!!!"; \
	fi

clean:  ## remove environments, caches and built files
	rm -rf $(VENV) $(AGAINST) dist build site .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache .benchmarks
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 on the path; name one: make PYTHON=…"; exit 1; }
	@echo "== making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUNTIME): pyproject.toml | $(BIN)/python
	@echo "== installing clusterwright"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable .
	@touch $@

# `--group` came with pip 25.1; the pip that a fresh Python brings may be older.
$(DEVELOP): $(RUNTIME)
	@echo "== installing the tools for development"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install $(PIP_FLAGS) --group test --group lint
	@touch $@

$(REFERENCE): pyproject.toml $(DEVELOP)
	@echo "== installing the reference tools (a few minutes, once)"
	@test -x $(AGAINST)/bin/python || $(BIN)/python -m venv $(AGAINST)
	@$(AGAINST)/bin/python -m pip install $(PIP_FLAGS) --upgrade 'pip>=25.1'
	@$(AGAINST)/bin/python -m pip install $(PIP_FLAGS) --retries 2 $(REFERENCE_TORCH)
	@$(AGAINST)/bin/python -m pip install $(PIP_FLAGS) --retries 2 --editable . --group test --group against
	@touch $@

$(MEGATRON): tests/against/fetch_megatron.py | $(REFERENCE)
	@echo "== fetching Megatron's files"
	@$(AGAINST)/bin/python tests/against/fetch_megatron.py
	@touch $@

$(BRIDGE): tests/against/fetch_megatron_bridge.py | $(REFERENCE)
	@echo "== fetching Megatron-Bridge's files"
	@$(AGAINST)/bin/python tests/against/fetch_megatron_bridge.py
	@touch $@

$(DEEPSPEED): $(REFERENCE)
	@echo "== installing DeepSpeed"
	@DS_BUILD_OPS=0 $(AGAINST)/bin/python -m pip install $(PIP_FLAGS) --retries 2 \
	  --no-build-isolation --no-deps $(REFERENCE_DEEPSPEED)
	@touch $@

$(VLLM) $(SGLANG): $(AGAINST)/%-python/.stamp: tests/against/fetch_servers.py | $(REFERENCE)
	@echo "== fetching the Python files of $*"
	@$(AGAINST)/bin/python tests/against/fetch_servers.py $*
	@touch $@

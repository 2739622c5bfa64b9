# Verbs: demo, test, check, format, console, lock, clean. `make demo ARGS="--check"` passes options on.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Hundreds of processes start in the tests; none shall compile the same source again, whatever the machine's habit is.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check format console lock clean setup setup-dev setup-system setup-interop help

help:
	@sed -n '1s/^# //p' Makefile

$(VENV)/.runtime: pyproject.toml deploy/locks/runtime.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r deploy/locks/runtime.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime deploy/locks/dev.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r deploy/locks/dev.txt
	@touch $@

setup: $(VENV)/.runtime
setup-dev: $(VENV)/.dev

setup-system:
	@bash tests/support/system.sh

console: setup
	$(BIN)/python gateway/console/hatch_build.py

demo: setup console
	$(BIN)/silian demo $(ARGS)

check: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n 2 tests/house tests/unit

setup-interop: setup-system
	@cd tests/support/interop && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error

# The self-check of the demo measures: four gateways and seven counties need the machine for themselves, as browsers do.
test: setup-system setup-interop check
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations 40 --durations-min 5 \
		--ignore tests/integration/test_check.py tests/contracts tests/simulation tests/integration
	$(BIN)/python -m pytest -q --durations 20 --durations-min 5 tests/integration/test_check.py tests/browser

format: setup-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile -q pyproject.toml --generate-hashes --no-header --no-emit-index-url \
		--no-emit-find-links --python-version 3.11 -o deploy/locks/runtime.txt
	$(BIN)/uv pip compile -q pyproject.toml --extra dev --generate-hashes --no-header --no-emit-index-url \
		--no-emit-find-links --python-version 3.11 -c deploy/locks/runtime.txt -o deploy/locks/dev.txt

clean:
	rm -rf $(VENV) dist build gateway/console/static gateway/console/node_modules test-results

# `make run` and `make test` are all a fresh machine with python3 and make needs.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
CALLBOARD := $(BIN)/callboard
# Where the recorded cases, peers, benchmarks and frontend stand, if they do.
SHARED ?= ../shared

.DEFAULT_GOAL := help
.PHONY: help run test lint format bench conformance peers e2e junk break lock clean

help: ## say what can be made
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/run ## serve the demo organisation on http://localhost:7007
	$(CALLBOARD) serve --config catalog-info/app-config.yaml

test: $(VENV)/dev ## run the tests on SQLite and PostgreSQL
	$(PYTEST) -n 2 --cov --cov-report=term:skip-covered --cov-fail-under=85 $(ARGS)

lint: $(VENV)/dev ## check formatting, types, layers and dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/vulture

format: $(VENV)/dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/dev ## measure against a generated catalog of 100,000 entities
	PATH="$(abspath $(BIN)):$$PATH" SHARED="$(SHARED)" bench/run.sh

conformance: $(VENV)/dev ## compare with recorded answers of Backstage
	PATH="$(abspath $(BIN)):$$PATH" SHARED="$(SHARED)" tests/conformance/run.sh

peers: $(VENV)/dev ## call the API with Backstage's own client (needs node and npm)
	PATH="$(abspath $(BIN)):$$PATH" SHARED="$(SHARED)" tests/peers/run.sh

e2e: $(VENV)/dev ## start it as its users do and look at what it answers
	PATH="$(abspath $(BIN)):$$PATH" $(PYTEST) tests/e2e -q \
	  --ignore=tests/e2e/test_crash.py --ignore=tests/e2e/test_bad_input.py \
	  --ignore=tests/e2e/test_replicas.py $(ARGS)

junk: $(VENV)/dev ## feed it bad files, requests and tokens
	PATH="$(abspath $(BIN)):$$PATH" $(PYTEST) tests/e2e/test_bad_input.py -q $(ARGS)

break: $(VENV)/dev ## kill its processes and feed it bad input (minutes)
	PATH="$(abspath $(BIN)):$$PATH" $(PYTEST) -q \
	  tests/e2e/test_crash.py tests/e2e/test_bad_input.py tests/e2e/test_replicas.py

lock: $(VENV)/dev ## resolve the dependencies anew, with hashes
	$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 $(LOCK_ARGS) pyproject.toml -o .requirements/run.txt
	$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 $(LOCK_ARGS) --extra dev pyproject.toml -o .requirements/dev.txt

clean: ## remove what was made here
	rm -rf $(VENV) .callboard tests/peers/node_modules .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	.ci/venv "$(PYTHON)" "$(VENV)"

$(VENV)/run: $(VENV)/bin/python .requirements/run.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes -r .requirements/run.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	@touch $@

$(VENV)/dev: $(VENV)/bin/python .requirements/dev.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes -r .requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	@touch $@ $(VENV)/run

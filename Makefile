# Each target does all set-up that it needs but Python >= 3.11 and make; `make dev` does
# no more than that, with all that development needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python

.PHONY: demo dev test test-slow test-oldest lint format docs clean

# Python compiles what is imported; pip would all that is installed, in twice the time.
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check --no-compile --editable

# What running it takes, and what testing it takes besides.
$(VENV)/usable: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "surrojax needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) .
	touch $@

$(VENV)/installed: $(VENV)/usable
	$(PIP) '.[dev]'
	touch $@

$(VENV)/documenting: $(VENV)/usable
	$(PIP) '.[docs]'
	touch $@

demo: $(VENV)/usable
	$(RUN) launch.py --config=configs/demo.py --workdir=runs/demo \
	  '--sweep=tune=(),(coefficients,ratios)'

dev: $(VENV)/installed

test: lint
	$(RUN) -m pytest -n 2 --dist loadfile -m 'not slow'

test-slow: $(VENV)/installed
	$(RUN) -m pytest -m slow

# What `test` runs but linting, with the oldest releases that pyproject.toml allows.
test-oldest:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and \
	  "the oldest releases are for Python 3.11: make PYTHON=python3.11 test-oldest")'
	$(PYTHON) -m venv build/oldest
	build/oldest/bin/python -m pip install --quiet uv
	build/oldest/bin/uv pip install --quiet --python build/oldest/bin/python \
	  --resolution lowest-direct --editable '.[dev]'
	build/oldest/bin/python -m pytest -n 2 --dist loadfile -m 'not slow'

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# build/docs/index.html; a broken link is an error.
docs: $(VENV)/documenting
	rm -rf build/docs
	$(RUN) -m sphinx --fail-on-warning --keep-going --quiet -b html \
	  -c docs -d build/doctrees . build/docs

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# make test    the environment where it is needed, then lint, types, tests
# make demo    the environment where it is needed, then `cellixir demo`; says where the report is
# make lint    the environment where it is needed, then style and types
# make clean   caches and build products; the environment stays (rm -rf .venv starts it over)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Warnings of an index are not news (-qq); errors are, and still show.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
INSTALLED := .venv/.installed

# Waiting OpenMP threads give up the processor: with a busy neighbour, spinning ones make training six times slower.
export OMP_WAIT_POLICY ?= PASSIVE
export MPLBACKEND := Agg

.PHONY: test lint demo install clean

# The tests are small: one thread a worker is fastest. A file stays with one worker, so that its fixtures are made once.
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations=10

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

demo: $(INSTALLED)
	$(BIN)/cellixir demo

install: $(INSTALLED)

# Torch first and on its own: it is by far the largest, and a failure there is seen before the rest is fetched.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(PIP) install -c constraints.txt -e '.[boost,graph,singlecell,dev]'
	@touch $@

clean:
	rm -rf build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# Every command of the house. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
UV = $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)

# The oldest Spark and Delta that are supported, laid over the packages of .venv. Its pyspark leaves open sockets behind.
OLDEST = $(UV) run --no-sync --with pyspark==4.0.0 --with delta-spark==4.0.0 \
	pytest -W ignore::ResourceWarning -W ignore::pytest.PytestUnraisableExceptionWarning -m oldest

# Compiling imports is half of a cold start: an environment that forbids bytecode is not obeyed here.
export PYTHONDONTWRITEBYTECODE =
export UV_PYTHON_DOWNLOADS = never

.DEFAULT_GOAL := help
.PHONY: help demo cluster schedule test lint bench docs airflow setup

help:
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

demo: setup ## score a table end to end: models, table, job, results
	$(BIN)/python -m demo

cluster: setup ## a Spark cluster of this machine with MLflow on PostgreSQL, until Ctrl-C
	@$(BIN)/python -m demo.cluster

schedule: setup .airflow/.ready ## from nothing to a table that Airflow scores every two minutes, until Ctrl-C
	@$(BIN)/python -m demo.schedule

# Those that start a JVM run beside the others, each with a core to itself: one after the other they take twice as long.
test: setup .airflow/.ready ## run all tests
	@log=$$(mktemp); export OMP_NUM_THREADS=1; \
	$(BIN)/pytest --durations=15 tests/spark >$$log 2>&1 & spark=$$!; trap 'kill $$spark' INT TERM; \
	$(BIN)/pytest --durations=15 --ignore=tests/spark; others=$$?; \
	$(OLDEST) tests/spark; oldest=$$?; \
	wait $$spark; spark=$$?; cat $$log; rm $$log; \
	test $$others -eq 0 && test $$oldest -eq 0 && test $$spark -eq 0

lint: .venv/.ready ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup ## measure against what people use (minutes)
	$(BIN)/python -m benchmarks.text

docs: setup ## write the derived tables anew and run the examples
	$(BIN)/python docs/tables.py
	$(BIN)/pytest tests/docs

airflow: .airflow/.ready ## make an environment of Airflow's own (.airflow)

setup: .venv/.ready
	@$(BIN)/python -m jobs.jars >/dev/null

.venv/.ready: uv.lock pyproject.toml
	@sh .ci/preflight $(PYTHON)
	@$(UV) --version >/dev/null 2>&1 || $(PYTHON) -m pip install --quiet --root-user-action ignore --target .uv uv
	$(UV) sync --locked --compile-bytecode --python $(PYTHON)
	@touch $@

.airflow/.ready: conf/airflow/uv.lock conf/airflow/pyproject.toml .venv/.ready
	UV_PROJECT_ENVIRONMENT=$(CURDIR)/.airflow $(UV) sync --project conf/airflow --locked --python $(PYTHON)
	@touch $@

# From another directory: make -C PATH TARGET. Several at once are fine.

BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench bench-full

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo '  ARGS="…" is passed on: make demo ARGS="--rows 50000", make test ARGS="-k watermark"'

setup: ## the virtual environment and MariaDB's server (the other targets see to it themselves)
	@.ci/bootstrap

demo: setup ## the whole pipeline on an embedded MySQL, S3 and warehouse
	@$(BIN)/s3rs-ray demo $(ARGS)

test: setup ## all tests, a file at a time on each core
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --max-worker-restart 0 --dist loadfile $(ARGS)

check: setup ## format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: setup ## read, backup and sync of 1 M rows, side by side
	@$(BIN)/python -m benchmarks $(ARGS)

bench-full: setup ## all benchmarks: 2 M rows beside dlt, polars and pandas, scaling, order, memory
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet -e '.[bench]'
	@$(BIN)/python -m benchmarks.full $(ARGS)

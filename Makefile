# Every task by its name; `make` alone lists them. The environment is made on the first call and kept after.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
LOCK = uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url $(if $(UPGRADE),--upgrade)

.PHONY: help venv setup system cluster-tools demo test e2e lint format generate kustomize lock bench clean

help:  ## list the tasks
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(READY)  ## make .venv from the hashed lock (other Python: PYTHON=python3.12)

setup: venv  ## make .venv and let git run the linters before each commit
	$(BIN)/pre-commit install

$(READY): pyproject.toml requirements/dev.txt requirements/bootstrap.txt scripts/venv.sh
	@PYTHON="$(PYTHON)" scripts/venv.sh
	@touch $@

system:
	@scripts/system.sh

cluster-tools:
	@scripts/cluster_tools.sh kube-apiserver kube-controller-manager kubectl helm kubeconform >/dev/null || true

demo: $(READY)  ## grow a small line, 0-4 then 5-7 then 8-9, from handwritten digits (CPU, minutes)
	@$(BIN)/python examples/digits/demo.py $(ARGS)

# All of them share two processes, each with servers of its own, file by file in this order: the long ones stand first.
test: $(READY) system cluster-tools  ## run the tests (some of them: make test ARGS='tests/unit -k gate')
	$(BIN)/python -m pytest $(or $(ARGS),-n 2 --dist loadfile --no-loadscope-reorder)

e2e: $(READY)  ## the chart, the images and a line on a real node of its own, as root (the README says how long it takes)
	@scripts/e2e.sh $(ARGS)

lint: $(READY)  ## ruff, mypy and the house's import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## put the sources in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(READY)  ## write the CRD, the reference pages and the chart's generated files
	$(BIN)/python -m treering_api.generate
	$(BIN)/python -m charts.generate

kustomize: $(READY)  ## write deploy/kustomize/base from the chart (builds Helm on the first call)
	$(BIN)/python -m charts.kustomize

lock: $(READY)  ## pin what pyproject.toml asks for, with hashes (newest of everything: UPGRADE=1)
	$(BIN)/$(LOCK) --extra trainer --extra operator --extra dev -o requirements/dev.txt pyproject.toml requirements/headless.in
	$(BIN)/$(LOCK) --extra trainer -c requirements/dev.txt -o requirements/trainer.txt pyproject.toml requirements/headless.in
	$(BIN)/$(LOCK) --extra operator -c requirements/dev.txt -o requirements/operator.txt pyproject.toml
	$(BIN)/$(LOCK) -c requirements/dev.txt -o requirements/bootstrap.txt requirements/bootstrap.in

bench: $(READY)  ## what lines keep and gain, by scenario and method: ARGS='--data DIR --weights FILE --out FILE.json'
	$(BIN)/python -m bench.retention $(ARGS)

clean:  ## remove what was built and measured here; .venv stays
	rm -rf build dist out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find crds trainer operator tests bench examples -name __pycache__ -prune -exec rm -rf {} +

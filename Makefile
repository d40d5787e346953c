# make repro      the whole experiment, then where the report is
# make test       lint, types, layers, tests
# make lint       without the tests
# make test-servers  studies of several workers on a real PostgreSQL
# make ui         MLflow's pages on http://127.0.0.1:5000
# make studies    optuna-dashboard over all studies on http://127.0.0.1:8080
# make bench      where the time went, and what was measured against what
# make relock     after a refactoring: dvc.lock with the new code, if the tiny journey proves no output changed
# make clean      caches and unfinished work; keeps .venv, data, artifacts, mlruns
#
# VENV=DIR uses another virtual environment; PYTHON=FILE makes it with that interpreter.

VENV ?= .venv
PYTHON ?=
BIN := $(VENV)/bin
BENCHMARKS := input_pipeline step_throughput small_maps depth_cost plain_training synthesis resume dvc_sets gpu_throughput studies wall_time

# Stage commands say `python`: they find this environment's.
export PATH := $(if $(filter /%,$(VENV)),$(VENV),$(CURDIR)/$(VENV))/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export GX_ANALYTICS_ENABLED := false
export PYTHONNOUSERSITE := 1
unexport PYTHONHOME PYTHONPATH

.PHONY: help venv repro test test-servers lint ui studies bench relock clean
.NOTPARALLEL:

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

venv:
	@.ci/venv "$(VENV)" "$(PYTHON)"

repro: venv
	"$(BIN)/dvc" repro
	"$(BIN)/synthgap" mirror
	@echo "The report: $(CURDIR)/artifacts/report/index.html"
	@echo "Every run:  make ui"

test: lint
	"$(BIN)/python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-servers: venv
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -r requirements-server.lock
	"$(BIN)/python" -m pytest -m servers tests/servers

lint: venv
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy"
	"$(BIN)/lint-imports"

ui: PORT ?= 5000
ui: venv
	@echo "MLflow: http://127.0.0.1:$(PORT)/#/experiments?workflowType=machine_learning (Ctrl-C ends it)"
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false "$(BIN)/mlflow" server --backend-store-uri sqlite:///mlruns/mlflow.db \
	    --artifacts-destination mlruns/artifacts --host 127.0.0.1 --port $(PORT) --workers 1

studies: PORT ?= 8080
studies: venv
	"$(BIN)/synthgap" study dashboard --port $(PORT)

bench: venv
	@for name in $(BENCHMARKS); do echo "$$name"; "$(BIN)/python" "benchmarks/$$name.py" || exit 1; done

relock: venv
	@"$(BIN)/python" .ci/relock.py $(if $(BASE),--base "$(BASE)")

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage .synthgap
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

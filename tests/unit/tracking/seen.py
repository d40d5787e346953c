"""What a person would see in MLflow, for assertions."""

from __future__ import annotations

from typing import Any

from synthgap.tracking.runs import DIGEST
from synthgap.tracking.store import Store
from synthgap.tracking.sweeps import SWEEP


def all_runs(store: Store) -> list[Any]:
    experiments = store.experiments()
    return list(store.client.search_runs(experiments, max_results=1000)) if experiments else []


def child_runs(store: Store) -> list[Any]:
    return [run for run in all_runs(store) if DIGEST in run.data.tags]


def parent_runs(store: Store) -> list[Any]:
    return [run for run in all_runs(store) if SWEEP in run.data.tags]


def history(store: Store, run: Any, metric: str) -> list[tuple[int, float]]:
    points = store.client.get_metric_history(run.info.run_id, metric)
    return [(point.step, point.value) for point in points]


def artifacts(store: Store, run: Any) -> list[str]:
    return sorted(entry.path for entry in store.client.list_artifacts(run.info.run_id))

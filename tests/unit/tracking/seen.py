"""What a person would see in MLflow, for assertions."""

from __future__ import annotations

from typing import Any

from synthgap.tracking.runs import DIGEST_TAG
from synthgap.tracking.store import TrackingStore
from synthgap.tracking.sweeps import SWEEP_TAG


def all_runs(store: TrackingStore) -> list[Any]:
    experiments = store.experiments()
    return list(store.client.search_runs(experiments, max_results=1000)) if experiments else []


def child_runs(store: TrackingStore) -> list[Any]:
    return [run for run in all_runs(store) if DIGEST_TAG in run.data.tags]


def parent_runs(store: TrackingStore) -> list[Any]:
    return [run for run in all_runs(store) if SWEEP_TAG in run.data.tags]


def history(store: TrackingStore, run: Any, metric: str) -> list[tuple[int, float]]:
    points = store.client.get_metric_history(run.info.run_id, metric)
    return [(point.step, point.value) for point in points]


def artifacts(store: TrackingStore, run: Any) -> list[str]:
    return sorted(entry.path for entry in store.client.list_artifacts(run.info.run_id))

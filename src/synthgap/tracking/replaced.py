"""Trials that another of the same slot has replaced: a worker died, or the study was made anew."""

from __future__ import annotations

from collections.abc import Sequence

from synthgap.tracking.runs import DIGEST, Run
from synthgap.tracking.store import Store
from synthgap.tracking.sweeps import PARENT


def drop_replaced(store: Store, parent: str, runs: Sequence[Run]) -> None:
    """Delete children of a study that have the slot of one of its recorded runs and are none.

    Those that run now stay, and so do trials that were told live and are not recorded yet.
    """
    recorded = {run["digest"] for run in runs}
    taken = {(str(run["trial"]), run["kind"], str(run["seed"])) for run in runs}
    place = [store.experiment(str(runs[0]["recipe"]))]
    for child in store.client.search_runs(place, f"tags.`{PARENT}` = '{parent}'", max_results=1000):
        tags = child.data.tags
        slot = (tags.get("trial.number"), tags.get("trial.kind"), tags.get("seed"))
        if slot in taken and tags.get(DIGEST) not in recorded and child.info.status != "RUNNING":
            store.client.delete_run(child.info.run_id)

"""How far a study is, as plain data: trials by state, the best so far, workers and their beats."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from synthgap.errors import ParamsError, WorkError
from synthgap.params.guidance import Guide, GuideProtocol
from synthgap.params.images import Data
from synthgap.params.reading import parse_section
from synthgap.params.sections import Params, Student, Study, Synthesize, Training
from synthgap.params.synthesis import Prompts
from synthgap.studies.finalise import is_claim, is_finalised
from synthgap.studies.heartbeat import HeartbeatDatabase, HeartbeatJournal
from synthgap.studies.storage import plan_attributes
from synthgap.studies.trials import queue
from synthgap.studies.trials.plan import SHARED, StudyPlan
from synthgap.studies.trials.ranking import best_first
from synthgap.studies.trials.record import trial_rows

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class StoredPlan:
    """What a storage keeps of a study's plan: sections of params.yaml, and its own."""

    recipe: str
    seed: int
    data: Data
    prompts: Prompts
    training: Training
    guide: Guide
    student: Student
    protocols: dict[str, GuideProtocol]
    synthesize: Synthesize
    study: Study


def stored_plan(study: optuna.Study, params: Params) -> StudyPlan:
    """The plan that a study was made with; `params` give what determines no trial.

    Raises:
        WorkError: synthgap did not make it, or one of another version did.
    """
    content = plan_attributes(study)
    text = json.dumps({**content["base"], "study": content["study"]})
    try:
        kept = parse_section(text, StoredPlan, place=f"study {study.study_name}")
    except ParamsError as error:
        first = str(error).partition("\n")[2].partition("\n")[0].strip()
        raise WorkError(
            f"study {study.study_name}: made by another version of synthgap ({first}); "
            "check that version out to go on with it"
        ) from error
    assert isinstance(kept, StoredPlan)
    base = replace(params, **{name: getattr(kept, name) for name in SHARED})
    return StudyPlan(content["name"], kept.study, base, content["inputs"])


def overview(study: optuna.Study, plan: StudyPlan) -> dict[str, Any]:
    """Counts by state, budget, the best trial so far, and running workers with their silence.

    A worker's `silent_s` are the seconds since its last beat (None before its first), and
    `is_dead` says that the next worker that checks gives its trial back.
    """
    trials = study.get_trials(deepcopy=False)
    rows = trial_rows(plan, trials)
    progress = queue.progress(trials)
    counts = Counter(row["state"] for row in rows)
    best = best_first(plan, rows)
    return {
        "name": plan.name,
        "objectives": [str(name) for name in plan.study.objectives],
        "budget": plan.study.trials,
        "counts": {state: counts[state] for state in ("complete", "pruned", "failed")},
        "running": progress["running"],
        "waiting": plan.study.trials - progress["done"] - progress["running"],
        "deaths": progress["deaths"],
        "best": best[0] if best else None,
        "workers": _workers(study, trials),
        "closed": is_finalised(study),
    }


def _workers(study: optuna.Study, trials: list[FrozenTrial]) -> list[dict[str, Any]]:
    running = [trial for trial in trials if trial.state.name == "RUNNING"]
    storage = study._storage
    if not isinstance(storage, HeartbeatJournal):  # a database behind Optuna's cache
        storage = getattr(storage, "_backend", storage)
    silences = _silences(storage, running)
    grace = _grace_s(storage)
    return [
        {
            "trial": trial.user_attrs.get("slot"),
            "kind": "closing" if is_claim(trial) else trial.user_attrs.get("kind"),
            "silent_s": silences.get(trial._trial_id),
            "is_dead": silences.get(trial._trial_id, 0.0) > grace,
        }
        for trial in running
    ]


def _grace_s(storage: object) -> float:
    if isinstance(storage, HeartbeatDatabase):
        return float(storage.grace_period or 0)
    return (
        float(storage.trial_rungs.grace_s)
        if isinstance(storage, HeartbeatJournal)
        else float("inf")
    )


def _silences(storage: object, running: list[FrozenTrial]) -> Mapping[int, float]:
    """Seconds since each running trial's last beat, by its id, on the storage's own clock."""
    ids = [trial._trial_id for trial in running]
    if isinstance(storage, HeartbeatDatabase):
        return _silences_in_database(storage, ids)
    if isinstance(storage, HeartbeatJournal) and ids:
        silences: Mapping[int, float] = storage.silences(ids)
        return silences
    return {}


def _silences_in_database(storage: HeartbeatDatabase, ids: list[int]) -> Mapping[int, float]:
    from optuna.storages._rdb.models import TrialHeartbeatModel
    from sqlalchemy import func, select

    trial_id = TrialHeartbeatModel.trial_id
    with storage.engine.connect() as connection:
        now: datetime = connection.execute(select(func.now())).scalar_one()
        beats = connection.execute(
            select(trial_id, TrialHeartbeatModel.heartbeat).where(trial_id.in_(ids))
        )
        return {
            found: (now.replace(tzinfo=None) - beat.replace(tzinfo=None)).total_seconds()
            for found, beat in beats
        }

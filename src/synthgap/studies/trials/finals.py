"""The best trials and the default once more, with seeds that no trial had: the best mean wins."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from synthgap.errors import ParamsError, TrainingError
from synthgap.evaluation.intervals import Estimate, estimate
from synthgap.studies.trials.budget import DEFAULT, FINAL
from synthgap.studies.trials.effects import TOP1
from synthgap.studies.trials.plan import Attempt, AttemptReport, StudyPlan
from synthgap.studies.trials.ranking import best_first, loss
from synthgap.studies.trials.rows import EventLogger, Row, head

FULL = 1.0
FACTS = ("num_images", "num_synthetic", "real_labels")


def candidates(plan: StudyPlan, rows: Sequence[Row]) -> list[tuple[int, dict[str, Any]]]:
    """Slot and values of the `finals.count` best trials and, wherever it came in, the default."""
    best = best_first(plan, rows)[: plan.study.finals.count]
    found = [(row["trial"], dict(row["tuned"])) for row in best]
    return found if any(slot == 0 for slot, _ in found) else [*found, (0, dict(plan.default))]


def final_round(
    plan: StudyPlan,
    rows: Sequence[Row],
    attempt: Attempt,
    *,
    done: Collection[Row] = (),
    log_event: EventLogger = lambda _event: None,
) -> Iterator[dict[str, Any]]:
    """Train every candidate with every final seed and yield its row; those in `done` are not.

    A candidate that cannot be trained gets a row that says so, and cannot win.

    Raises:
        SynthgapError: something that the next candidate would meet too.
    """
    digests = {row["digest"] for row in done}
    for slot, tuned in candidates(plan, rows):
        for seed in plan.study.finals.seeds:
            about = head(plan, slot, FINAL, tuned, seeds=(seed,))
            if about["digest"] not in digests:
                yield _trained(about, plan.study.measured, attempt, log_event)


def final_results(
    plan: StudyPlan, rows: Sequence[Row], final_rows: Collection[Row]
) -> list[dict[str, Any]]:
    """Every candidate with its means over the final seeds, as run.json has them.

    `score` is of the first objective, which decides; `val` is accuracy on `val`. Null where a seed
    is missing or failed, or does not measure it.
    """
    objective = str(plan.study.objectives[0])
    found = []
    for slot, tuned in candidates(plan, rows):
        own = [
            row
            for seed in plan.study.finals.seeds
            for row in final_rows
            if (row["trial"], row["seed"], row["tuned"]) == (slot, seed, tuned)
            and row["state"] == "complete"
        ]
        whole = len(own) == len(plan.study.finals.seeds)
        found.append(
            {
                "trial": slot or DEFAULT,  # which stands in place of slot 0
                "tuned": tuned,
                "metric": objective,
                "score": _over_seeds(own, objective) if whole else None,
                "val": _over_seeds(own, TOP1) if whole else None,
            }
        )
    return found


def winner(
    plan: StudyPlan, rows: Sequence[Row], finals: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """The candidate with the best mean of the first objective; None before the finals.

    The default wins where it is as good as the best, and where nothing else is within the
    constraints; a default outside of them wins only then.
    """
    if not finals:
        return None
    metric = str(plan.study.objectives[0])
    feasible = {row["trial"] for row in rows if row["state"] == "complete" and row["feasible"]}
    able = [
        one
        for one in finals
        if one["score"] is not None and (0 if one["trial"] == DEFAULT else one["trial"]) in feasible
    ]
    first = min(
        able,
        key=lambda one: (loss(metric, one["score"]["mean"]), one["trial"] != DEFAULT),
        default=None,
    )
    if first is None:
        return {"trial": DEFAULT, "tuned": plan.default}
    return {"trial": first["trial"], "tuned": first["tuned"]}


def _trained(
    about: dict[str, Any], measured: Sequence[str], attempt: Attempt, log_event: EventLogger
) -> dict[str, Any]:
    digest, reason = about["digest"], None
    log_event({"event": "start", "digest": digest, "run": about})
    readings: list[AttemptReport] = []
    try:
        for reading in attempt(about["tuned"], seed=about["seed"], share=FULL):
            readings.append(reading)
            log_event({"event": "epoch", "digest": digest, "metrics": _epoch(reading)})
    except (ParamsError, TrainingError) as error:
        reason = str(error)
    except BaseException:
        log_event({"event": "end", "digest": digest, "run": {**about, "state": "killed"}})
        raise
    row = {**about, **_outcome(readings, measured, reason)}
    log_event({"event": "end", "digest": digest, "run": row})
    return row


def _outcome(
    readings: Sequence[AttemptReport], measured: Sequence[str], reason: str | None
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "state": "complete" if reason is None else "failed",
        "reason": reason,
        "retries": 0,
        "values": {},
        "share": FULL,
        "num_images": None,
        "num_steps": readings[-1].num_steps if readings else 0,
        "feasible": reason is None,
        "epochs": [_epoch(reading) for reading in readings],
        "last": {},
    }
    if reason is None:
        last, asked = readings[-1], {TOP1, *measured}
        facts = {name: last.facts.get(name) for name in FACTS}
        values = {name: value for name, value in _finite(last).items() if name in asked}
        row |= {**facts, "values": values}
        row["last"] = {name: _alone(value) for name, value in values.items()}
    return row


def _epoch(reading: AttemptReport) -> dict[str, float]:
    curves = {name: value for name, value in _finite(reading).items() if "/" in name}
    return {"epoch": reading.epoch, **curves}


def _finite(reading: AttemptReport) -> dict[str, float]:
    return {name: value for name, value in reading.metrics.items() if math.isfinite(value)}


def _alone(value: float) -> dict[str, Any]:
    return asdict(Estimate(mean=value, std=0.0, n=1, over="seeds"))


def _over_seeds(rows: Sequence[Row], metric: str) -> dict[str, Any] | None:
    values = [row["values"][metric] for row in rows if metric in row["values"]]
    return asdict(estimate(values, over="seeds")) if len(values) == len(rows) else None

"""A study as its run.json has it: every trial, and the study's results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthgap.params.reading import section_dict
from synthgap.params.studies import LABELLED, SMALLER
from synthgap.studies.trials.budget import DEFAULT, GRID
from synthgap.studies.trials.effects import TOP1, grid_of, importances
from synthgap.studies.trials.plan import StudyPlan
from synthgap.studies.trials.ranking import best_first, pareto
from synthgap.studies.trials.rows import Row

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

STATES = ("complete", "pruned", "failed")
FEWEST_PAIRS = 3  # fewer have no rank correlation
BEHIND = ("generator", "reference", "student")  # whose real labels a trial counts


def trial_rows(plan: StudyPlan, trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """The record of every trial that has ended, by slot; of a slot no more than one.

    Trials that wait, run, or were given back have none.
    """
    from synthgap.studies.trials.queue import counted

    rows = [trial.user_attrs.get("told") for trial in counted(trials)]
    return [row for row in rows if row is not None and row["study"] == plan.name]


def study_record(
    plan: StudyPlan,
    rows: Sequence[Row],
    finals: Sequence[Mapping[str, Any]],
    verdict: Mapping[str, Any] | None,
    *,
    num_val: int,
) -> dict[str, Any]:
    """Key `study` of run.json, of the trials that have ended; `num_val` are the images of `val`.

    `finals` are as `finals.final_results` gives them. Equal rows give equal bytes.
    """
    from synthgap.studies.trials.finals import winner

    study, labels = plan.study, _labels(plan, rows, num_val)
    return {
        "name": plan.name,
        "method": study.method,
        "protocol": study.protocol,
        "plan": plan.digest,
        "objectives": [
            {"metric": metric, "direction": "minimize" if metric in SMALLER else "maximize"}
            for metric in study.objectives
        ],
        "space": section_dict(study)["space"],
        "default": plan.default,
        "trials": study.trials,
        "counts": _counts(plan, rows),
        "num_steps": sum(row.get("num_steps") or 0 for row in rows),
        "full_steps": _full_steps(rows),
        "labels": labels,
        "data_free": all(count == 0 for count in labels.values()),
        **_merits(plan, rows),
        "importances": importances(plan, rows),
        "correlations": _correlations(plan, rows),
        "grid": grid_of(plan, rows),
        "finals": [dict(one) for one in finals],
        "winner": winner(plan, rows, finals),
        "verdict": None if verdict is None else dict(verdict),
    }


def run_record(
    plan: StudyPlan, rows: Sequence[Row], study: Mapping[str, Any], about: Mapping[str, Any]
) -> dict[str, Any]:
    """All of run.json: `rows` are the trials and the runs of the finals.

    `about` has `environment`, and `params` where the study's section is another than the plan's.
    """
    base = plan.base
    return {
        "schema": 1,
        "experiment": "tune",
        "recipe": base.recipe,
        "inputs": dict(sorted(plan.inputs.items())),
        "environment": about["environment"],
        "params": {
            "seed": base.seed,
            "student": section_dict(base.student),
            "training": section_dict(base.training),
            **(about.get("params") or {"study": section_dict(plan.study)}),
        },
        "runs": [dict(row) for row in rows],
        "study": dict(study),
    }


def _merits(plan: StudyPlan, rows: Sequence[Row]) -> dict[str, Any]:
    """The best trial by the one objective, or those of which none is better in all of several."""
    if len(plan.study.objectives) > 1:
        return {"best": None, "pareto": sorted(row["trial"] for row in pareto(plan, rows))}
    return {"best": next((row["trial"] for row in best_first(plan, rows)), None), "pareto": []}


def _counts(plan: StudyPlan, rows: Sequence[Row]) -> dict[str, int]:
    """Trials by state; `open` have not ended, or not begun."""
    ended = Counter(row["state"] for row in rows)
    return {**{state: ended[state] for state in STATES}, "open": plan.study.trials - len(rows)}


def _full_steps(rows: Sequence[Row]) -> int:
    """Optimiser steps of as many trials at the full share alone, which the fixed ones are."""
    complete = [row for row in rows if row["state"] == "complete"]
    steps = [row["num_steps"] for row in complete if row["kind"] in (DEFAULT, GRID)]
    steps = steps or [row["num_steps"] for row in complete]
    return round(len(rows) * sum(steps) / len(steps)) if steps else 0


def _labels(plan: StudyPlan, rows: Sequence[Row], num_val: int) -> dict[str, int | None]:
    """Real labels that were used, the most of any trial; None where nobody knows.

    Pruners compare the objective alone, and what is merely watched decides nothing.
    """
    spent = {*plan.study.objectives, *plan.study.constraints} & LABELLED
    found: dict[str, int | None] = {"objective": num_val if spent else 0}
    begun = [row for row in rows if row.get("num_images") is not None]
    for name in BEHIND:
        counts = [row["real_labels"].get(name, 0) for row in begun]
        found[name] = None if None in counts else max(counts, default=0)
    return found


def _correlations(plan: StudyPlan, rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """How each measure but accuracy orders the complete trials, against accuracy on `val`."""
    found = {}
    for metric in plan.study.measured:
        if metric == TOP1:
            continue
        values = [row["values"] for row in rows if row["state"] == "complete"]
        pairs = [(one[metric], one[TOP1]) for one in values if metric in one and TOP1 in one]
        coefficient = _spearman([pair[0] for pair in pairs], [pair[1] for pair in pairs])
        found[metric] = {"spearman": coefficient, "n": len(pairs)}
    return found


def _spearman(first: list[float], second: list[float]) -> float | None:
    """Rank correlation -1..1; None for fewer than three pairs, or where one side is constant."""
    from scipy.stats import spearmanr  # type: ignore[import-untyped] # scipy ships no types

    if len(first) < FEWEST_PAIRS or 1 in (len(set(first)), len(set(second))):
        return None
    return round(float(spearmanr(first, second).statistic), 9)

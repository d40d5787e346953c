"""What a study's keys do: fANOVA importances, and two keys crossed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthgap.params.studies import SMALLER
from synthgap.seeding import derived_seed
from synthgap.studies.trials.budget import DEFAULT, GRID, grid_values
from synthgap.studies.trials.plan import StudyPlan
from synthgap.studies.trials.rows import Row

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


Place = tuple[int, int]
TOP1 = "val/top1"


def grid_of(plan: StudyPlan, rows: Sequence[Row]) -> dict[str, Any] | None:
    """The study's grid as measured, at the default of every other key; None where none was asked.

    `alone` is the best of one key with the other at its default, `gain` what that adds to the
    default's score; `predicted` adds both gains. Null where trials are missing or failed.
    """
    keys = plan.study.grid
    if not keys:
        return None
    crossed = [row for row in rows if row["kind"] in (DEFAULT, GRID)]
    values = grid_values(plan)
    metric = _metric(plan, crossed)
    found = _cells(keys, values, crossed, metric)
    default = (values[0].index(plan.default[keys[0]]), values[1].index(plan.default[keys[1]]))
    score = found.get(default, (None, None))[0]
    alone = {key: _alone(found, values, default, axis, metric) for axis, key in enumerate(keys)}
    gains = [one["gain"] for one in alone.values() if one is not None]
    joint = _best(found, metric)
    return {
        "keys": [*keys],
        "metric": metric,
        "values": values,
        "cells": _matrix(found, values, 0),
        "stds": _matrix(found, values, 1),
        "default": [*default],
        "alone": alone,
        "predicted": None if score is None or len(gains) < 2 else score + sum(gains),
        "joint": None
        if joint is None
        else {
            "values": [values[0][joint[0]], values[1][joint[1]]],
            "score": found[joint][0],
        },
    }


Found = dict[Place, tuple[float, float | None]]


def _metric(plan: StudyPlan, rows: Sequence[Row]) -> str:
    """Accuracy on `val` where the study measures it, else its first objective."""
    measured = any(TOP1 in (row.get("values") or {}) for row in rows)
    return TOP1 if measured else str(plan.study.objectives[0])


def _cells(
    keys: Sequence[str], values: Sequence[list[Any]], rows: Sequence[Row], metric: str
) -> Found:
    found: Found = {}
    for row in rows:
        score = (row.get("values") or {}).get(metric)
        if row["state"] != "complete" or score is None:
            continue
        place = (values[0].index(row["tuned"][keys[0]]), values[1].index(row["tuned"][keys[1]]))
        last = (row.get("last") or {}).get(metric) or {"n": 1}
        found[place] = (score, last["std"] if last["n"] > 1 else None)
    return found


def _alone(
    found: Found, values: Sequence[list[Any]], default: Place, axis: int, metric: str
) -> dict[str, Any] | None:
    line = {place: one for place, one in found.items() if place[1 - axis] == default[1 - axis]}
    best = _best(line, metric)
    if best is None or default not in found:
        return None
    score = found[best][0]
    return {"value": values[axis][best[axis]], "score": score, "gain": score - found[default][0]}


def _best(found: Found, metric: str) -> Place | None:
    sign = 1 if metric in SMALLER else -1
    return min(found, key=lambda place: (sign * found[place][0], place), default=None)


def _matrix(found: Found, values: Sequence[list[Any]], part: int) -> list[list[float | None]]:
    return [
        [found[i, j][part] if (i, j) in found else None for j in range(len(values[1]))]
        for i in range(len(values[0]))
    ]


FEWEST = 8  # complete trials


def importances(plan: StudyPlan, rows: Sequence[Row]) -> dict[str, float] | None:
    """Share of each key in what moves the first objective, 0..1, the largest first.

    fANOVA (Hutter et al., ICML 2014). PED-ANOVA, optuna's default, credits the keys that a grid
    leaves at one value: on the digits it gave guidance and augmentation, which move accuracy by
    points, nothing. None where fewer than eight complete trials lie in the space, or where they
    are equally good.
    """
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    from synthgap.studies.trials.space import distributions

    space, metric = distributions(plan), str(plan.study.objectives[0])
    inside = [
        trial
        for row in rows
        if row["state"] == "complete" and (trial := _rebuilt(space, row, metric)) is not None
    ]
    if len(inside) < FEWEST:
        return None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=optuna.storages.InMemoryStorage(),
        study_name=plan.name,
        direction="minimize" if metric in SMALLER else "maximize",
        sampler=optuna.samplers.RandomSampler(seed=plan.base.seed),
    )
    study.add_trials(inside)
    if len({trial.value for trial in inside}) == 1:
        return None
    evaluator = FanovaImportanceEvaluator(seed=derived_seed(plan.base.seed, "importances") % 2**32)
    try:
        found = get_param_importances(study, evaluator=evaluator)
    except RuntimeError:  # trials that cannot be told apart
        return None
    ranked = sorted(found.items(), key=lambda item: (-round(item[1], 6), item[0]))
    return {key: round(float(value), 6) for key, value in ranked}


def _rebuilt(space: Mapping[str, BaseDistribution], row: Row, metric: str) -> FrozenTrial | None:
    """The row as a trial of optuna's; None of values outside the space, as defaults may be."""
    from optuna.trial import create_trial

    tuned: Mapping[str, Any] = row["tuned"]
    try:
        return create_trial(
            params={key: tuned[key] for key in space},
            distributions=dict(space),
            value=row["values"][metric],
        )
    except (ValueError, KeyError):
        return None

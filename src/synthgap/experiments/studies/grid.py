"""Two keys crossed: each tuned alone, what both would give if that added up, and what they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synthgap.experiments.studies.plan import StudyPlan
from synthgap.experiments.studies.rows import Row
from synthgap.experiments.studies.slots import DEFAULT, GRID, grid_values
from synthgap.params.studies import SMALLER

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

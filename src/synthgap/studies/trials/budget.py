"""A study's budget: its planned trials, some with fixed values, the others drawn by the sampler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from synthgap.errors import ParamsError
from synthgap.studies.trials.plan import StudyPlan
from synthgap.studies.trials.space import all_values, in_space

DEFAULT, GRID, FIRST, SEARCH, FINAL = "default", "grid", "first", "search", "final"


@dataclass(frozen=True)
class PlannedTrial:
    """One trial of the budget; `values` of every key, or of none where they are drawn."""

    number: int
    kind: str
    values: dict[str, Any] = field(default_factory=dict)


def planned_trials(plan: StudyPlan) -> list[PlannedTrial]:
    """The default, every other pair of the grid, settings to begin with, and then drawn ones.

    Settings that are there already are left out: equal settings give equal trials.

    Raises:
        ParamsError: there are more of the fixed ones than trials, or one lies outside the space.
    """
    fixed: list[tuple[str, dict[str, Any]]] = []
    for kind, values in _fixed(plan):
        if all(values != other for _, other in fixed):
            fixed.append((kind, values))
    trials = plan.study.trials
    if len(fixed) > trials:
        raise ParamsError(
            f"study {plan.name}, trials: {trials}, but the default, the grid's pairs and `first` "
            f"are {len(fixed)}; expected at least as many, or fewer values"
        )
    found = [PlannedTrial(number, kind, values) for number, (kind, values) in enumerate(fixed)]
    return found + [PlannedTrial(number, SEARCH) for number in range(len(fixed), trials)]


def grid_values(plan: StudyPlan) -> list[list[Any]]:
    """The values of the two grid keys, in order; none without a grid.

    Raises:
        ParamsError: there is no end of them.
    """
    found = []
    for key in plan.study.grid:
        values = all_values(plan, key)
        if values is None:
            raise ParamsError(
                f"study {plan.name}, grid: {key} has no step, expected a step or a list of values"
            )
        found.append(values)
    return found


def _fixed(plan: StudyPlan) -> Iterator[tuple[str, dict[str, Any]]]:
    yield DEFAULT, _whole(plan, {})
    if plan.study.grid:
        for pair in product(*grid_values(plan)):
            yield GRID, _whole(plan, dict(zip(plan.study.grid, pair, strict=True)))
    for start in plan.study.first:
        yield FIRST, _whole(plan, start)


def _whole(plan: StudyPlan, given: Mapping[str, object]) -> dict[str, Any]:
    """The default with some values replaced."""
    values = {**plan.default, **given}
    return {key: in_space(plan, key, value) for key, value in values.items()}

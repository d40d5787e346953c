"""Which complete trials of a study are best, by its objectives and within its constraints."""

from __future__ import annotations

from collections.abc import Sequence

from synthgap.params.studies import SMALLER
from synthgap.studies.trials.plan import StudyPlan
from synthgap.studies.trials.rows import Row


def best_first(plan: StudyPlan, rows: Sequence[Row]) -> list[Row]:
    """Feasible complete trials, the best first; of equals the earlier.

    By the one objective; of several, those of the Pareto front by the first.
    """
    several = len(plan.study.objectives) > 1
    front = pareto(plan, rows) if several else _feasible(rows)
    return sorted(front, key=lambda row: (_losses(plan, row)[0], row["trial"]))


def pareto(plan: StudyPlan, rows: Sequence[Row]) -> list[Row]:
    """Feasible complete trials that no other beats in one objective and equals in the others."""
    feasible = _feasible(rows)
    return [
        row
        for row in feasible
        if not any(_dominates(_losses(plan, other), _losses(plan, row)) for other in feasible)
    ]


def loss(metric: str, value: float) -> float:
    """The value turned so that less is better."""
    return value if metric in SMALLER else -value


def _feasible(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["state"] == "complete" and row["feasible"]]


def _losses(plan: StudyPlan, row: Row) -> tuple[float, ...]:
    return tuple(loss(metric, row["values"][metric]) for metric in plan.study.objectives)


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(ours <= theirs for ours, theirs in zip(one, other, strict=True))

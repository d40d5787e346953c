"""Where a report stands in a whole trial: the rungs at which pruning may happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from synthgap.params.studies import SearchInterval
from synthgap.studies.trials.budget import FIRST, SEARCH
from synthgap.studies.trials.plan import StudyPlan

EPOCHS = "guide.epochs"
BY_SHARE = frozenset({"hyperband", "successive_halving", "median"})
"""Pruners that compare trials while they learn; for the others smaller shares would be waste."""
LATE, LATE_ALONE = (7, 8), (5, 8)
"""How far into a share trials are compared: one of several, and the only one."""


@dataclass(frozen=True)
class Rungs:
    """The readings of a trial that nothing stops; `num_epochs` is of the longest training."""

    shares: tuple[float, ...]
    num_seeds: int
    num_epochs: int

    @classmethod
    def of(cls, plan: StudyPlan) -> Self:
        """The rungs of a study."""
        study = plan.study
        shares = study.shares if study.pruner in BY_SHARE else study.shares[-1:]
        return cls(shares, len(study.seeds), _most_epochs(plan))

    def before(self, share: float, seed_index: int) -> int:
        """How many readings come before those of a share and seed."""
        return (self.shares.index(share) * self.num_seeds + seed_index) * self.num_epochs

    @property
    def total(self) -> int:
        """How many readings a whole trial gives."""
        return len(self.shares) * self.num_seeds * self.num_epochs

    @property
    def factor(self) -> int:
        """By how much the second rung lies above the first, and what share of trials passes one."""
        return max(2, len(self.shares))

    @property
    def first_rung(self) -> int:
        """The reading at which trials are compared first.

        Of several shares it lies late in the first one, and its multiple by `factor` as late in the
        last; with one share there is a single rung. Students of a short schedule know next to
        nothing before: on the digits (8 epochs, 20 settings), accuracy halfway through half of the
        images has a rank correlation of 0.0 with the final one, at seven eighths of 0.6, and of 0.9
        at three quarters through all images.
        """
        late, of = LATE if len(self.shares) > 1 else LATE_ALONE
        return max(1, self.total * late // (of * len(self.shares)))

    @property
    def between(self) -> int:
        """Readings between checks of the median rule, which may check more than once a share."""
        return self.first_rung if len(self.shares) > 1 else max(1, self.total // LATE_ALONE[1])


def is_prunable(kind: str) -> bool:
    """Whether a trial may be stopped early; the default and the grid's cells must be comparable."""
    return kind in {FIRST, SEARCH}


def _most_epochs(plan: StudyPlan) -> int:
    dimension = plan.study.space.get(EPOCHS)
    if dimension is None:
        return plan.base.guide.epochs
    if isinstance(dimension, SearchInterval):
        return int(dimension.high)
    return max(value for value in dimension if isinstance(value, int))

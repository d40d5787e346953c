"""A number with its spread and its count; what the spread runs over is never mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from synthgap.errors import DataError

Over = Literal["epochs", "seeds"]


@dataclass(frozen=True)
class Estimate:
    """`mean` with the population `std` over `n` epochs or seeds."""

    mean: float
    std: float
    n: int
    over: Over

    def __str__(self) -> str:
        """Print e.g. `97.1 +/- 0.2 (n=3 seeds)`; one value has no spread to print."""
        if self.n == 1:
            return f"{self.mean:.1f} (single {'run' if self.over == 'seeds' else 'epoch'})"
        return f"{self.mean:.1f} +/- {self.std:.1f} (n={self.n} {self.over})"


def estimate(values: Sequence[float], *, over: Over) -> Estimate:
    """Mean and population standard deviation of `values`.

    Raises:
        DataError: there is no value, or one is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise DataError(f"an estimate over {over} has no values; expected at least one")
    if not np.isfinite(array).all():
        raise DataError(f"an estimate over {over} has the values {array.tolist()}; expected finite")
    return Estimate(float(array.mean()), float(array.std()), int(array.size), over)


def over_last_epochs(per_epoch: Sequence[float], *, last: int) -> Estimate:
    """The papers' number for one run: mean and std of its last `last` epochs (MtG, section 2.1).

    Raises:
        DataError: the run has fewer epochs than that.
    """
    if not 1 <= last <= len(per_epoch):
        raise DataError(f"{len(per_epoch)} epochs; expected at least the {last} that are averaged")
    return estimate(per_epoch[-last:], over="epochs")


def over_seeds(per_seed: Sequence[Estimate]) -> Estimate:
    """Mean and std of the runs' means; the spread inside a run does not enter.

    Raises:
        DataError: there is no run, or an estimate is itself over seeds.
    """
    if any(one.over != "epochs" for one in per_seed):
        raise DataError("an estimate over seeds was given estimates over seeds; expected epochs")
    return estimate([one.mean for one in per_seed], over="seeds")

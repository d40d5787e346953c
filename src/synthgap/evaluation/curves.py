"""Curves: accuracy against the logarithm of the reduction (MtG, Fig. 3), and saturation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthgap.errors import DataError


@dataclass(frozen=True)
class Log2Fit:
    """f(x) = slope * log2(x) + intercept, x = 1 / fraction; `slope` is points a halving."""

    slope: float
    intercept: float
    residual_std: float

    def at(self, fraction: float) -> float:
        """Fitted accuracy at a fraction of the real data."""
        return self.slope * float(np.log2(1 / fraction)) + self.intercept

    def __str__(self) -> str:
        """Print e.g. `-2.23 log2(x) + 85.60`."""
        return f"{self.slope:.2f} log2(x) + {self.intercept:.2f}"


def fit_log2(fractions: Sequence[float], accuracies: Sequence[float]) -> Log2Fit:
    """Least squares of accuracy on log2(1 / fraction).

    Raises:
        DataError: fewer than two different fractions.
    """
    halvings = -np.log2(np.asarray(fractions, dtype=np.float64))
    heights = np.asarray(accuracies, dtype=np.float64)
    if len(set(fractions)) < 2 or len(fractions) != len(accuracies):
        raise DataError(
            f"a log2 fit of {len(accuracies)} accuracies at the fractions {list(fractions)}; "
            "expected two or more different ones"
        )
    centred = halvings - halvings.mean()
    slope = float(centred @ heights / (centred @ centred))
    intercept = float(heights.mean() - slope * halvings.mean())
    residuals = heights - (slope * halvings + intercept)
    return Log2Fit(slope, intercept, float(residuals.std()))


def saturated_from(values: Sequence[float], *, within: float) -> int:
    """First place, counted from 1, from which on the curve stays within `within` of its end.

    Raises:
        DataError: the curve has no value.
    """
    if not values:
        raise DataError("a training curve without epochs; expected at least one, rerun its stage")
    far = [place for place, value in enumerate(values, 1) if abs(value - values[-1]) > within]
    return max(far, default=0) + 1

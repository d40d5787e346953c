"""Intervals over seeds: few paired differences that may differ in more than the test images."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from synthgap.errors import DataError
from synthgap.evaluation.bootstrap import Interval


def t_interval(values: Sequence[float], *, confidence: float) -> Interval:
    """Two-sided interval of the mean of `values`, in their unit (Student, Biometrika 6, 1908).

    mean -+ t(n - 1) s / sqrt(n), with the sample standard deviation s (divisor n - 1).

    Raises:
        DataError: fewer than two values, or one is not finite.
    """
    from scipy.stats import t  # type: ignore[import-untyped] # scipy ships no types

    array = np.asarray(values, dtype=np.float64)
    if array.size < 2 or not np.isfinite(array).all():
        raise DataError(
            f"an interval over seeds has the values {array.tolist()}; expected two or more, finite"
        )
    quantile = float(t.ppf((1 + confidence) / 2, array.size - 1))
    half = quantile * float(array.std(ddof=1)) / sqrt(array.size)
    mean = float(array.mean())
    return Interval(mean - half, mean + half)

"""How many images of each class a synthetic set shall hold."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from synthgap.errors import ParamsError

Count = int | Literal["as_train", "balance"]


def counts_of(labels: np.ndarray, num_classes: int, count: Count, factor: float) -> np.ndarray:
    """Images a class, (num_classes,) int64, for real `labels` (num_images,).

    `as_train` keeps the real imbalance, times `factor`; `balance` tops every class up to `factor`
    times the largest, real images included. Halves are rounded up, and a class that has images has
    at least one: a larger factor never has fewer.

    Raises:
        ParamsError: nothing is left to make.
    """
    real = np.bincount(labels, minlength=num_classes)
    if count == "balance":
        largest = _times(int(real.max(initial=0)), factor)
        wanted = [max(0, largest - number) for number in real.tolist()]
    elif count == "as_train":
        wanted = [_times(number, factor) for number in real.tolist()]
    else:
        wanted = [_times(count, factor)] * num_classes
    if not sum(wanted):
        raise ParamsError(
            f"params.yaml, synthesize.count: {count}, but the real classes need nothing; expected "
            "as_train or a number"
        )
    return np.asarray(wanted, dtype=np.int64)


def _times(number: int, factor: float) -> int:
    """`number x factor`, halves up, at least 1 of any; 1e-9 forgives what floats cannot hold."""
    return max(min(number, 1), math.floor(number * factor + 0.5 + 1e-9))

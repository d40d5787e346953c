"""Estimates with spread and count; paired bootstrap over images, Student t over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from synthgap.errors import DataError
from synthgap.seeding import stream

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


CHUNK_CELLS = 4_000_000  # resamples x images held at once, about 32 MB


@dataclass(frozen=True)
class Interval:
    """A percentile interval in the unit of the replicates."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


def replicates(shares: np.ndarray, *, resamples: int, seed: int) -> np.ndarray:
    """Mean of each series over resampled images, (num_series, resamples).

    `shares` is (num_series, num_images): the share of runs or epochs in which an image was right,
    0..1. One draw of images serves every series, so differences of two rows are paired. Rounded to
    1e-9, so that equal series stay equal whatever order the processor adds in.

    Raises:
        DataError: there are no images.
    """
    if shares.ndim != 2 or shares.shape[1] == 0:
        raise DataError(
            f"shares of shape {shares.shape}; expected (series, images) with at least one image"
        )
    num_images = shares.shape[1]
    generator = stream(seed, "bootstrap", num_images)
    columns = np.ascontiguousarray(shares.T, dtype=np.float64)
    chunk = max(1, CHUNK_CELLS // num_images)
    parts = []
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = generator.integers(0, num_images, size=(size, num_images))
        drawn += np.arange(size)[:, None] * num_images
        counts = np.bincount(drawn.ravel(), minlength=size * num_images)
        parts.append(counts.reshape(size, num_images).astype(np.float64) @ columns / num_images)
    return np.round(np.concatenate(parts).T, 9)


def interval(values: np.ndarray, *, confidence: float) -> Interval:
    """Percentile interval of one series' replicates, (resamples,).

    Raises:
        DataError: there is no replicate, or one is not a number.
    """
    if values.size == 0 or np.isnan(values).any():
        raise DataError(f"an interval over {values.size} replicates; expected only numbers")
    tail = (1 - confidence) / 2
    # `lower` and `higher` return replicates themselves: infinite bounds are not interpolated.
    low = np.quantile(values, tail, method="lower")
    high = np.quantile(values, 1 - tail, method="higher")
    return Interval(float(low), float(high))


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

"""Paired bootstrap over test images: every series sees the same resampled images.

Efron & Tibshirani, An Introduction to the Bootstrap, chapter 13 (percentile interval).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgap.errors import DataError
from synthgap.seeding import stream

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

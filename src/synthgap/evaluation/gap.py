"""What synthetic images cost, in points, as a share of the gap, and in real labels.

Every function takes arrays as well as numbers, so that bootstrap replicates go through the same
code as the estimate itself. Accuracies are in percent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgap.errors import DataError

CLOSED_GAP_PP = 0.05  # below the one decimal that is printed, real and synthetic are equal


def gap_pp(real: np.ndarray | float, other: np.ndarray | float) -> np.ndarray:
    """Points that `other` lies below the real-trained student: real - other.

    Percent, numbers or arrays (num_resamples,).
    """
    return np.asarray(real, dtype=np.float64) - np.asarray(other, dtype=np.float64)


def gap_closed(
    other: np.ndarray | float, *, synthetic: np.ndarray | float, real: np.ndarray | float
) -> np.ndarray:
    """Share of the gap that `other` closes, (x - S) / (R - S); NaN where R and S are equal.

    Percent, numbers or arrays (num_resamples,).
    """
    between = gap_pp(real, synthetic)
    defined = np.abs(between) >= CLOSED_GAP_PP
    above = np.asarray(other, dtype=np.float64) - np.asarray(synthetic, dtype=np.float64)
    return np.where(defined, above / np.where(defined, between, 1.0), np.nan)


@dataclass(frozen=True)
class LabelEquivalent:
    """`labels` where measured; otherwise only a bound: fewer than `below` or more than `above`."""

    labels: float | None
    below: float | None = None
    above: float | None = None

    def __str__(self) -> str:
        """Print e.g. `150`, `< 19`, `> 600`."""
        if self.labels is not None:
            return f"{self.labels:.0f}"
        return f"< {self.below:.0f}" if self.below is not None else f"> {self.above:.0f}"


@dataclass(frozen=True)
class ScratchCurve:
    """Accuracy of students trained from scratch on ever more real labels.

    `labels` is (points,), strictly rising; `accuracies` is (points,) or (points, resamples).
    """

    labels: np.ndarray
    accuracies: np.ndarray

    def __post_init__(self) -> None:
        """Refuse a curve that cannot be read.

        Raises:
            DataError: fewer than two points, or labels that do not rise.
        """
        if len(self.labels) < 2 or len(self.labels) != len(self.accuracies):
            raise DataError(
                f"a from-scratch curve of {len(self.labels)} label counts and "
                f"{len(self.accuracies)} accuracies; expected two or more of each"
            )
        if (np.diff(self.labels) <= 0).any() or self.labels[0] <= 0:
            raise DataError(f"label counts {self.labels.tolist()}; expected rising, above 0")

    @property
    def monotone(self) -> bool:
        """Whether more labels never gave less accuracy."""
        return bool((np.diff(self.accuracies, axis=0) >= 0).all())

    def log2_labels(self, accuracy: np.ndarray | float) -> np.ndarray:
        """Log2 of the fewest labels at which the curve reaches `accuracy`.

        Straight lines between neighbouring points over log2(labels). -inf where the first point is
        already better, +inf where no point is as good. A curve that falls is used as it is: its
        first crossing counts.
        """
        target = np.asarray(accuracy, dtype=np.float64)
        heights = self.accuracies.astype(np.float64)
        logs = np.log2(self.labels.astype(np.float64))
        shape = np.broadcast_shapes(target.shape, heights.shape[1:])
        answer = np.full(shape, np.inf)
        for left in reversed(range(len(logs) - 1)):
            low, high = heights[left], heights[left + 1]
            inside = (low <= target) & (target <= high)
            rise = np.where(high > low, high - low, 1.0)
            crossing = logs[left] + (target - low) / rise * (logs[left + 1] - logs[left])
            answer = np.where(inside, crossing, answer)
        answer = np.where(target == heights[0], logs[0], answer)
        return np.where(target < heights[0], -np.inf, answer)

    def equivalent(self, accuracy: float) -> LabelEquivalent:
        """The from-scratch number of real labels of equal accuracy, or the bound it lies beyond."""
        log2 = float(self.log2_labels(accuracy))
        if np.isneginf(log2):
            return LabelEquivalent(None, below=float(self.labels[0]))
        if np.isposinf(log2):
            return LabelEquivalent(None, above=float(self.labels[-1]))
        return LabelEquivalent(float(2.0**log2))

"""Does a classifier know how often it is right? Calibration error and cross-entropies."""

from __future__ import annotations

import numpy as np

from synthgap.errors import DataError

LOWEST = 1e-6  # nats: smaller losses differ by rounding alone
LOW_QUANTILE = 0.01  # of the losses: what lies below shares a bin


def cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Negative log-probability of every image's own class, in nats, float64 (num_images,).

    logits: float (num_images, num_classes); labels: int64 (num_images,).
    """
    exact = logits.astype(np.float64)
    top = exact.max(axis=1, keepdims=True)
    logs = np.log(np.exp(exact - top).sum(axis=1)) + top[:, 0]
    losses: np.ndarray = np.maximum(logs - exact[np.arange(len(labels)), labels], 0.0)
    return losses


def shared_edges(losses: np.ndarray, bins: int) -> np.ndarray:
    """Rising edges, float64 (bins + 1,), of which every loss lies in a bin.

    The first bin begins at 0; the others are equally wide in the logarithm, since a trained
    network's losses run over orders of magnitude.

    `losses`: (num_losses,) in nats.

    Raises:
        DataError: there is no loss, or one is not finite.
    """
    if not len(losses) or not np.isfinite(losses).all():
        raise DataError(
            f"histogram of {len(losses)} losses, {int((~np.isfinite(losses)).sum())} of them not "
            "finite; expected at least one, all finite, rerun stage train"
        )
    low = max(float(np.quantile(losses, LOW_QUANTILE)), LOWEST)
    high = max(float(losses.max()), 2 * low)
    edges = np.concatenate([[0.0], np.geomspace(low, high, bins)])
    edges[-1] = high  # geomspace rounds: the largest loss must not fall out
    return edges


BINS = 15  # of Guo et al.


def expected_calibration_error(
    confidences: np.ndarray, correct: np.ndarray, *, bins: int = BINS
) -> float:
    """Mean distance between confidence and accuracy, in percentage points (Guo et al. 2017, eq. 3).

    confidences: (num_images,) floats in 0 to 1; correct: (num_images,) bools. Over bins of equal
    width, each with its upper edge, weighted by how many images fall into it.

    Raises:
        DataError: there are no images, or a confidence is none.
    """
    sure = np.asarray(confidences, dtype=np.float64)
    right = np.asarray(correct, dtype=np.float64)
    if not len(sure) or len(sure) != len(right) or not ((sure >= 0) & (sure <= 1)).all():
        raise DataError(
            f"calibration of {len(sure)} confidences and {len(right)} answers; expected as many of "
            "both, at least one, and confidences of 0 to 1"
        )
    places = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(places, weights=right - sure, minlength=bins)
    return 100 * float(np.abs(gaps).sum()) / len(sure)

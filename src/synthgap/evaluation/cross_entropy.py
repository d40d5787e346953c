"""What a classifier loses on every image, and edges by which such losses can be counted."""

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

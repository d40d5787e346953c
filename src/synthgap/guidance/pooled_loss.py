"""The task's loss over both kinds of images in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthgap.guidance.pairs import Pair
from synthgap.guidance.seeing import Eye, Seen, cross_entropy, seen_together, tiled


@dataclass(frozen=True)
class Pooled:
    """A part's loss, and what was seen of its rows.

    `loss` counts these rows among those of the whole batch, so that losses of all parts and
    processes add up to the mean over the batch. `logits` and `labels` are of all crops.
    """

    loss: Tensor
    logits: Tensor
    labels: Tensor
    real: Seen | None
    synthetic: Seen | None


def pooled_loss(eye: Eye, pair: Pair, batch_size: int) -> Pooled:
    """Look at all rows together: cross-entropy with equal weight of every crop."""
    seen = seen_together(eye, pair)
    losses, logits, labels = [], [], []
    for half, found in zip((pair.real, pair.synthetic), seen, strict=True):
        if half is not None and found is not None:
            losses.append(len(half.labels) / batch_size * cross_entropy(found, half.labels))
            logits.append(found.logits)
            labels.append(tiled(half.labels, found))
    return Pooled(torch.stack(losses).sum(), torch.cat(logits), torch.cat(labels), *seen)

"""The supervised loss: labels, a teacher's embeddings, or both; AugMix's consistency on top."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from synthgap.params.sections import Training


@dataclass(frozen=True)
class Targets:
    """What a batch should have given: labels (batch,), embeddings (batch, dim) of a teacher."""

    labels: Tensor
    embeddings: Tensor | None = None

    def tiled(self, num_crops: int) -> Targets:
        """Repeat it for crops that stand crop by crop."""
        times = num_crops // len(self.labels)
        if self.embeddings is None:
            return Targets(self.labels.repeat(times))
        return Targets(self.labels.repeat(times), self.embeddings.repeat(times, 1))


def supervised_loss(
    logits: Tensor, embeddings: Tensor | None, targets: Targets, training: Training
) -> Tensor:
    """The mean loss over all crops with equal weight.

    Cross-entropy; with `supervision: both` plus, and with `embeddings` only, the un-squared
    distance to the teacher's embedding (MtG eq. 1); with AugMix's `jsd_weight` cross-entropy of
    the first of three views plus the divergence between them (Hendrycks et al. 2020, eq. 2 and 3).

    `logits`: (crops, num_classes); `embeddings`: (crops, dim); a scalar.
    """
    wanted = targets.tiled(len(logits))
    if training.supervision == "embeddings":
        return embedding_distance(embeddings, wanted.embeddings)
    if training.augmentation == "augmix" and training.augmix.jsd_weight > 0:
        views = logits.chunk(3)
        plain = functional.cross_entropy(views[0], targets.tiled(len(views[0])).labels)
        loss = plain + training.augmix.jsd_weight * jensen_shannon(views)
    else:
        loss = functional.cross_entropy(logits, wanted.labels)
    if training.supervision == "both":
        loss = loss + training.embedding_weight * embedding_distance(embeddings, wanted.embeddings)
    return loss


def embedding_distance(embeddings: Tensor | None, wanted: Tensor | None) -> Tensor:
    """Mean Euclidean distance, not squared, between (crops, dim) and (crops, dim) (MtG eq. 1)."""
    assert embeddings is not None
    assert wanted is not None
    apart: Tensor = torch.linalg.vector_norm(embeddings.float() - wanted, dim=1)
    return apart.mean()


def jensen_shannon(views: tuple[Tensor, ...] | list[Tensor]) -> Tensor:
    """Mean Jensen-Shannon divergence in nats between the softmaxes of (batch, classes) logits."""
    logs = torch.stack([view.log_softmax(dim=1) for view in views])
    middle = logs.logsumexp(dim=0) - math.log(len(views))
    return (logs.exp() * (logs - middle)).sum(dim=2).mean()

"""Score a student on a real set: exact, sample-weighted, the last batch whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.training.augmentation import centre
from synthgap.training.labelled import Labelled, Normalisation

SCORING_BATCH = 512


@dataclass(frozen=True)
class Scores:
    """One pass over one set: loss in nats, accuracies in percent, and every prediction."""

    loss: float
    top1: float
    top5: float
    balanced: float  # mean of the per-class accuracies over the classes that are present
    predictions: np.ndarray  # (num_images,) int64
    confidences: np.ndarray  # (num_images,) float64, the largest softmax probability

    def metrics(self, split: str) -> dict[str, float]:
        """Name the four numbers, e.g. `val/top1`."""
        return {
            f"{split}/loss": self.loss,
            f"{split}/top1": self.top1,
            f"{split}/top5": self.top5,
            f"{split}/balanced": self.balanced,
        }


@torch.no_grad()
def score(
    model: nn.Module, labelled: Labelled, *, normalise: Normalisation, size_px: int
) -> Scores:
    """Score `model`, in eval mode, on centre crops of `size_px`; its mode is put back."""
    was_training = model.training
    model.eval()
    logits = torch.cat(
        [
            model(normalise(centre(images, size_px).float().div(255))).float()
            for images in torch.split(labelled.images, SCORING_BATCH)
        ]
    )
    model.train(was_training)
    return summarise(logits, labelled.labels)


def summarise(logits: Tensor, labels: Tensor) -> Scores:
    """Turn logits (num_images, num_classes) into scores.

    Raises:
        ValueError: there are no images; an empty metric has no value.
    """
    if not len(labels):
        raise ValueError("no images to score")
    top = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hits = top == labels[:, None]
    right = hits[:, 0].double()
    counts = torch.bincount(labels, minlength=logits.shape[1]).double()
    per_class = torch.bincount(labels, weights=right, minlength=logits.shape[1])
    present = counts > 0
    confidences, predictions = logits.double().softmax(dim=1).max(dim=1)
    return Scores(
        loss=float(functional.cross_entropy(logits.double(), labels)),
        top1=100 * float(right.mean()),
        top5=100 * float(hits.any(dim=1).double().mean()),
        balanced=100 * float((per_class[present] / counts[present]).mean()),
        predictions=predictions.cpu().numpy(),
        confidences=confidences.cpu().numpy(),
    )

"""Score a student on a real set: exact, sample-weighted, the last batch whole."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from synthgap.models.prefix_cache import PrefixCache
from synthgap.seeding import torch_stream
from synthgap.training.augmentation import centre_crop
from synthgap.training.labelled_images import LabelledImages, Normalisation
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator

SCORING_BATCH = 512
Rows = slice | Tensor
CACHED_ACTIVATION_BYTES = 2 * 1024**3  # of one set's activations at the cut


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


@dataclass(frozen=True)
class PreparedImages:
    """Images as a student is fed them: batches of its inputs, or activations at a frozen cut."""

    model: nn.Module
    labels: Tensor
    feed: Callable[[Rows], Tensor]  # rows as normalised float images
    remembered: Tensor | None = None
    replay: PrefixCache | None = None

    @classmethod
    def of(
        cls, model: nn.Module, labelled: LabelledImages, *, normalise: Normalisation, size_px: int
    ) -> PreparedImages:
        """Compute once what stays the same every epoch.

        The activations of a frozen prefix are computed once here, where they fit in memory.
        """

        def feed(rows: Rows) -> Tensor:
            images = centre_crop(labelled.images[rows].to(device, non_blocking=True), size_px)
            return normalise(images.float().div(255))

        device = next(model.parameters()).device
        example = feed(slice(0, 1))
        replay = PrefixCache.of(model, example) if len(labelled) else None
        if (
            replay is None
            or _bytes(replay.remember(example)) * len(labelled) > CACHED_ACTIVATION_BYTES
        ):
            return cls(model, labelled.labels, feed)
        parts = [replay.remember(feed(rows)) for rows in _batch_slices(0, len(labelled))]
        return cls(model, labelled.labels, feed, torch.cat(parts), replay)

    def activations(self, rows: Tensor) -> Tensor:
        """What was remembered of some rows.

        `rows`: int64 (batch,); the result is (batch, ...).
        """
        assert self.remembered is not None
        return self.remembered[rows]

    def logits(self, rows: Rows, model: nn.Module | None = None) -> Tensor:
        """Logits (rows, num_classes) in the model's present mode, or those of another `model`."""
        if self.remembered is not None and self.replay is not None and model is None:
            return self.replay.forward(self.remembered[rows])
        targets = (model or self.model)(self.feed(rows))
        found: Tensor = targets[0] if isinstance(targets, tuple) else targets
        return found


def prepare_images(
    model: nn.Module, train_spec: TrainSpec, device: torch.device
) -> dict[str, PreparedImages]:
    """Every set that the training is scored on, by its split's name."""
    return {
        name: PreparedImages.of(
            model,
            labelled.resident(device),
            normalise=train_spec.scoring_normalisation,
            size_px=train_spec.training.global_crops.size,
        )
        for name, labelled in train_spec.scored.items()
    }


@torch.no_grad()
def score(given: PreparedImages, train_spec: TrainSpec, accelerator: Accelerator) -> Scores:
    """Score in eval mode; the model's own mode is put back.

    With `scoring_stats: batch`, batch norm of a copy is in train mode and goes on absorbing what
    it is fed, in batches of the training's size (MtG Table 1, protocol.md 4.9). Of several
    processes each scores a part, and all get the whole.
    """
    model = given.model
    was_training = model.training
    model.eval()
    with accelerator.autocast():
        if train_spec.training.scoring_stats == "batch":
            parts = _batch_by_batch(given, train_spec)
        else:
            parts = _logits_of_all_processes(given, accelerator)
    model.train(was_training)
    return scores_from_logits(torch.cat(parts).float(), given.labels)


def _batch_by_batch(given: PreparedImages, train_spec: TrainSpec) -> list[Tensor]:
    """Logits by batches of mixed classes: a set may lie sorted by class, which no batch may be."""
    absorbing = copy.deepcopy(given.model)
    for module in absorbing.modules():
        if isinstance(module, _BatchNorm):
            module.train()
    order = torch_stream(train_spec.seed, "scoring order")
    shuffled = torch.randperm(len(given.labels), generator=order)
    batches = torch.split(shuffled, train_spec.training.batch_size)
    logits = [given.logits(rows, absorbing) for rows in batches]
    return [torch.cat(logits)[shuffled.argsort()]]


def _logits_of_all_processes(given: PreparedImages, accelerator: Accelerator) -> list[Tensor]:
    """All logits in order, each process having computed an equal stretch of them."""
    count, world = len(given.labels), accelerator.num_processes
    stretch = -(-count // world)
    firsts = [min(rank * stretch, max(count - stretch, 0)) for rank in range(world)]  # may overlap
    first = firsts[accelerator.process_index]
    parts = [given.logits(rows) for rows in _batch_slices(first, min(first + stretch, count))]
    if world == 1:
        return parts
    gathered = accelerator.gather(torch.cat(parts)).split(stretch)
    return [gathered[rank][rank * stretch - firsts[rank] :] for rank in range(world)]


def _batch_slices(first: int, last: int) -> list[slice]:
    starts = range(first, last, SCORING_BATCH)
    return [slice(start, min(start + SCORING_BATCH, last)) for start in starts]


def _bytes(example: Tensor) -> int:
    return example.numel() * example.element_size()


def scores_from_logits(logits: Tensor, labels: Tensor) -> Scores:
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

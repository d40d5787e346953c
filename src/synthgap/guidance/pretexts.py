"""Learning without labels: contrastive (SimCLR, Chen et al. 2020) and by rotation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.guidance.domains import DomainBatch
from synthgap.guidance.forward import gather_rows
from synthgap.guidance.updates import LossTerm, MethodNetworks, SummedGradient, update_step
from synthgap.training.epoch_runner import TrainStepFactory
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """The normalised temperature-scaled cross-entropy (Chen et al. 2020, eq. 1).

    `first` and `second` (rows, dim) are of two crops of the same images. Of each crop's cosines to
    all others, over `temperature`, the other crop's of its image should be the largest. Returns
    (mean loss in nats over all 2 * rows crops, logits (2 * rows, 2 * rows), labels (2 * rows,)).
    """
    with torch.autocast(first.device.type, enabled=False):
        embeddings = functional.normalize(torch.cat([first, second]).to(_wide(first)), dim=1)
        logits = embeddings @ embeddings.T / temperature
        logits = logits.masked_fill(_itself(len(embeddings), embeddings.device), -torch.inf)
        labels = torch.arange(len(embeddings), device=embeddings.device).roll(len(first))
        return functional.cross_entropy(logits, labels), logits, labels


def contrastive(temperature: float) -> TrainStepFactory:
    """A contrastive train step over two global crops; its network ends in a projection.

    Negatives are the batch's images on all processes, but of one accumulated part at a time.
    """

    def make(model: nn.Module, train_spec: TrainSpec, accelerator: Accelerator) -> MethodNetworks:
        assert train_spec.training.global_crops.count == 2
        update = ContrastiveStep(model, list(model.parameters()), temperature, accelerator)
        return MethodNetworks(nn.ModuleDict({"student": model}), [update])

    return update_step(make, 0)


@dataclass(frozen=True)
class ContrastiveStep(SummedGradient):
    """One step down the contrastive loss; labels are not used."""

    network: nn.Module
    parameters: Sequence[nn.Parameter]
    temperature: float
    accelerator: Accelerator

    def terms(self, pair: DomainBatch) -> Iterator[LossTerm]:
        """Compare all images of a part of the batch."""
        images = pair.synthetic
        assert images is not None
        own = self.network(images.crops[0]).chunk(2)
        first, second = (gather_rows(part, self.accelerator) for part in own)
        loss, logits, labels = nt_xent(first, second, self.temperature)
        share = images.share * len(first) / len(own[0])  # of the rows of all processes
        yield LossTerm(loss, share, logits=logits, labels=labels, replicated=True)


def _itself(count: int, device: torch.device) -> Tensor:
    return torch.eye(count, dtype=torch.bool, device=device)


def _wide(features: Tensor) -> torch.dtype:
    """At least single precision."""
    return torch.promote_types(features.dtype, torch.float32)


NUM_ROTATIONS = 4


def rotated(images: Tensor) -> tuple[Tensor, Tensor]:
    """All four rotations of square (rows, 3, size, size), and each one's number of quarter turns.

    Rotation t of row i stands at t * rows + i (Gidaris et al. 2018, section 2: all four together).
    """
    every = [torch.rot90(images, times, dims=(2, 3)) for times in range(NUM_ROTATIONS)]
    labels = torch.arange(NUM_ROTATIONS, device=images.device).repeat_interleave(len(images))
    return torch.cat(every), labels


def rotation() -> TrainStepFactory:
    """A train step that learns four classes, one a quarter turn; labels are not used."""

    def make(model: nn.Module, train_spec: TrainSpec, accelerator: Accelerator) -> MethodNetworks:  # noqa: ARG001 - as all
        return MethodNetworks(
            nn.ModuleDict({"student": model}), [RotationStep(model, list(model.parameters()))]
        )

    return update_step(make, 0)


@dataclass(frozen=True)
class RotationStep(SummedGradient):
    """One step down the cross-entropy of the four rotations."""

    network: nn.Module
    parameters: Sequence[nn.Parameter]

    def terms(self, pair: DomainBatch) -> Iterator[LossTerm]:
        """Predict the rotation of all images of a part of the batch."""
        images = pair.synthetic
        assert images is not None
        crops, labels = rotated(images.crops[0])
        logits = self.network(crops).float()
        loss = functional.cross_entropy(logits, labels)
        yield LossTerm(loss, images.share, logits=logits, labels=labels)

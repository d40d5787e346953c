"""Learning without labels: tell images apart by two crops of each (SimCLR, Chen et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.guidance.pairs import Pair
from synthgap.guidance.seeing import gathered
from synthgap.guidance.turns import Plainly, Room, Term, turns
from synthgap.training.learner import RuleMaker
from synthgap.training.lesson import Lesson

if TYPE_CHECKING:
    from accelerate import Accelerator


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """The normalised temperature-scaled cross-entropy (Chen et al. 2020, eq. 1).

    `first` and `second` (rows, dim) are of two crops of the same images. Of each crop's cosines to
    all others, over `temperature`, the other crop's of its image should be the largest. Returns
    (mean loss in nats over all 2 * rows crops, logits (2 * rows, 2 * rows), labels (2 * rows,)).
    """
    with torch.autocast(first.device.type, enabled=False):
        seen = functional.normalize(torch.cat([first, second]).to(_wide(first)), dim=1)
        logits = seen @ seen.T / temperature
        logits = logits.masked_fill(_itself(len(seen), seen.device), -torch.inf)
        labels = torch.arange(len(seen), device=seen.device).roll(len(first))
        return functional.cross_entropy(logits, labels), logits, labels


def contrastive(temperature: float) -> RuleMaker:
    """The rule of a lesson with two global crops; its network ends in a projection.

    Batches are told apart over all processes, but each part of an accumulated one by itself.
    """

    def make(model: nn.Module, lesson: Lesson, accelerator: Accelerator) -> Room:
        assert lesson.training.global_crops.count == 2
        turn = Contrast(model, list(model.parameters()), temperature, accelerator)
        return Room(nn.ModuleDict({"student": model}), [turn])

    return turns(make, 0)


@dataclass(frozen=True)
class Contrast(Plainly):
    """One step down the contrastive loss; labels are not looked at."""

    network: nn.Module
    parameters: Sequence[nn.Parameter]
    temperature: float
    accelerator: Accelerator

    def terms(self, pair: Pair) -> Iterator[Term]:
        """Compare all images of a part of the batch."""
        images = pair.synthetic
        assert images is not None
        own = self.network(images.crops[0]).chunk(2)
        first, second = (gathered(part, self.accelerator) for part in own)
        loss, logits, labels = nt_xent(first, second, self.temperature)
        share = images.share * len(first) / len(own[0])  # of the rows of all processes
        yield Term(loss, share, logits=logits, labels=labels, replicated=True)


def _itself(count: int, device: torch.device) -> Tensor:
    return torch.eye(count, dtype=torch.bool, device=device)


def _wide(features: Tensor) -> torch.dtype:
    """At least single precision."""
    return torch.promote_types(features.dtype, torch.float32)

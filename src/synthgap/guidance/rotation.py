"""Learning without labels: by how many quarter turns was an image rotated?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.guidance.pairs import Pair
from synthgap.guidance.turns import Plainly, Room, Term, turns
from synthgap.training.learner import RuleMaker
from synthgap.training.lesson import Lesson

if TYPE_CHECKING:
    from accelerate import Accelerator

NUM_TURNS = 4


def rotated(images: Tensor) -> tuple[Tensor, Tensor]:
    """All four quarter turns of square (rows, 3, size, size), and how often each was turned.

    Turn t of row i stands at t * rows + i (Gidaris et al. 2018, section 2: all four together).
    """
    every = [torch.rot90(images, times, dims=(2, 3)) for times in range(NUM_TURNS)]
    labels = torch.arange(NUM_TURNS, device=images.device).repeat_interleave(len(images))
    return torch.cat(every), labels


def rotation() -> RuleMaker:
    """The rule of a lesson in four classes, one a quarter turn; labels are not looked at."""

    def make(model: nn.Module, lesson: Lesson, accelerator: Accelerator) -> Room:  # noqa: ARG001 - as all
        return Room(nn.ModuleDict({"student": model}), [Turned(model, list(model.parameters()))])

    return turns(make, 0)


@dataclass(frozen=True)
class Turned(Plainly):
    """One step down the cross-entropy of the four turns."""

    network: nn.Module
    parameters: Sequence[nn.Parameter]

    def terms(self, pair: Pair) -> Iterator[Term]:
        """Ask for the turns of all images of a part of the batch."""
        images = pair.synthetic
        assert images is not None
        crops, labels = rotated(images.crops[0])
        logits = self.network(crops).float()
        loss = functional.cross_entropy(logits, labels)
        yield Term(loss, images.share, logits=logits, labels=labels)

"""DANN: domain-adversarial training (Ganin et al., JMLR 2016), with the few real labels.

The paper's target domain has no labels; the low-shot comparison of PG/RG gives DANN those of the
few real images too, so here both kinds have both losses. One stage, as there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from synthgap.guidance.discriminator import (
    Discriminator,
    domain_loss,
    drawn,
    ramp,
    reversed_gradient,
)
from synthgap.guidance.pairs import Pair
from synthgap.guidance.seeing import Eye, cross_entropy, seen_together, tiled
from synthgap.guidance.task import Task
from synthgap.guidance.turns import Plainly, Room, Term, turns
from synthgap.models.taps import feature_size
from synthgap.params.guidance_adversarial import Dann
from synthgap.training.lesson import Lesson
from synthgap.training.phases import Phase

if TYPE_CHECKING:
    from accelerate import Accelerator


def dann(task: Task) -> Sequence[Phase]:
    """Learn both kinds' labels from features in which a discriminator cannot tell the kinds."""
    params = task.guide.dann

    def room(student: nn.Module, lesson: Lesson, _accelerator: Accelerator) -> Room:
        size = feature_size(student)
        judge = drawn(lambda: Discriminator(size, params.hidden), seed=lesson.seed)
        return Room(
            nn.ModuleDict({"student": student, "discriminator": judge}),
            [Reversed(student, judge, lesson, params)],
            {"discriminator": params.discriminator_rate},
        )

    return [Phase(task.both(), turns(room, task.num_real))]


class Reversed(Plainly):
    """One step for all: features have the discriminator's gradient reversed.

    The ramp is on the features' side alone; the discriminator learns at full strength from the
    beginning (section 5.2).
    """

    def __init__(
        self, student: nn.Module, discriminator: Discriminator, lesson: Lesson, params: Dann
    ) -> None:
        self.eye = Eye(student, lesson.training.running_stats)
        self.discriminator, self.params = discriminator, params
        both = [*student.parameters(), *discriminator.parameters()]
        self.parameters = [parameter for parameter in both if parameter.requires_grad]

    def terms(self, pair: Pair) -> Iterator[Term]:
        """Yield one loss: labels over all rows alike, plus domains over both kinds alike."""
        strength = self.params.weight * ramp(pair.progress, self.params.gamma)
        halves = [half for half in (pair.real, pair.synthetic) if half is not None]
        seen = [part for part in seen_together(self.eye, pair) if part is not None]
        total = sum(len(half.indices) / half.share for half in halves)
        losses = []
        for half, part in zip(halves, seen, strict=True):
            logits = self.discriminator(reversed_gradient(part.features, strength))
            told = domain_loss(logits, synthetic=half is pair.synthetic)
            rows = len(half.indices) / total
            losses.append(rows * cross_entropy(part, half.labels) + half.share * told / 2)
        yield Term(
            torch.stack(losses).sum(),
            logits=torch.cat([part.logits for part in seen]),
            labels=torch.cat([tiled(h.labels, part) for h, part in zip(halves, seen, strict=True)]),
        )

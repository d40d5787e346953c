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
    ramp,
    reverse_gradient,
    seeded_network,
)
from synthgap.guidance.domains import DomainBatch
from synthgap.guidance.forward import TappedStudent, cross_entropy, forward_domains, labels_of_crops
from synthgap.guidance.method_context import MethodContext
from synthgap.guidance.updates import LossTerm, MethodNetworks, SummedGradient, update_step
from synthgap.models.activations import feature_size
from synthgap.params.guidance import Dann
from synthgap.training.loop import Phase
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator


def dann(method_context: MethodContext) -> Sequence[Phase]:
    """Learn both kinds' labels from features in which a discriminator cannot tell the kinds."""
    params = method_context.guide.dann

    def method_networks(
        student: nn.Module, train_spec: TrainSpec, _accelerator: Accelerator
    ) -> MethodNetworks:
        size = feature_size(student)
        judge = seeded_network(lambda: Discriminator(size, params.hidden), seed=train_spec.seed)
        return MethodNetworks(
            nn.ModuleDict({"student": student, "discriminator": judge}),
            [DannUpdate(student, judge, train_spec, params)],
            {"discriminator": params.discriminator_rate},
        )

    return [Phase(method_context.both(), update_step(method_networks, method_context.num_real))]


class DannUpdate(SummedGradient):
    """One step for all: features have the discriminator's gradient reversed.

    The ramp is on the features' side alone; the discriminator learns at full strength from the
    beginning (section 5.2).
    """

    def __init__(
        self, student: nn.Module, discriminator: Discriminator, train_spec: TrainSpec, params: Dann
    ) -> None:
        self.tapped = TappedStudent(student, train_spec.training.running_stats)
        self.discriminator, self.params = discriminator, params
        both = [*student.parameters(), *discriminator.parameters()]
        self.parameters = [parameter for parameter in both if parameter.requires_grad]

    def terms(self, pair: DomainBatch) -> Iterator[LossTerm]:
        """Yield one loss: labels over all rows alike, plus domains over both kinds alike."""
        strength = self.params.weight * ramp(pair.progress, self.params.gamma)
        halves = [half for half in (pair.real, pair.synthetic) if half is not None]
        outputs = [part for part in forward_domains(self.tapped, pair) if part is not None]
        total = sum(len(half.indices) / half.share for half in halves)
        losses = []
        for half, part in zip(halves, outputs, strict=True):
            logits = self.discriminator(reverse_gradient(part.features, strength))
            loss = domain_loss(logits, synthetic=half is pair.synthetic)
            rows = len(half.indices) / total
            losses.append(rows * cross_entropy(part, half.labels) + half.share * loss / 2)
        yield LossTerm(
            torch.stack(losses).sum(),
            logits=torch.cat([part.logits for part in outputs]),
            labels=torch.cat(
                [labels_of_crops(h.labels, part) for h, part in zip(halves, outputs, strict=True)]
            ),
        )

"""ADDA: adversarial discriminative domain adaptation (Tzeng et al., CVPR 2017), no real labels.

The student learns on synthetic images; then it becomes the target encoder: a copy of it stays as
the source encoder, and a discriminator and the encoder play with inverted labels. The classifier
stays what synthetic images made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from synthgap.guidance.discriminator import (
    Discriminator,
    domain_loss,
    only_global_crops,
    seeded_network,
)
from synthgap.guidance.domains import DomainBatch
from synthgap.guidance.forward import TappedStudent
from synthgap.guidance.method_context import MethodContext
from synthgap.guidance.updates import LossTerm, MethodNetworks, SummedGradient, update_step
from synthgap.models.activations import feature_size
from synthgap.models.head import classifier_names
from synthgap.training.loop import Phase
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator


def adda(method_context: MethodContext) -> Sequence[Phase]:
    """Source training on synthetic images, then the game over both kinds without labels."""
    params = method_context.guide.adda

    def method_networks(
        student: nn.Module, train_spec: TrainSpec, _accelerator: Accelerator
    ) -> MethodNetworks:
        source = deepcopy(student).requires_grad_(requires_grad=False)
        size = feature_size(student)
        judge = seeded_network(lambda: Discriminator(size, params.hidden), seed=train_spec.seed)
        before, now = (
            TappedStudent(one, train_spec.training.running_stats) for one in (source, student)
        )
        networks = {"student": student, "source": source, "discriminator": judge}
        return MethodNetworks(
            nn.ModuleDict(networks),
            [DiscriminatorUpdate(before, now, judge), EncoderUpdate(now, student, judge)],
            {"student": params.rate, "discriminator": params.discriminator_rate},
        )

    share = method_context.guide.adaptation_share
    source, game = method_context.split(
        method_context.only_synthetic(), method_context.both(), share
    )
    return [Phase(source), Phase(game, update_step(method_networks, method_context.num_real))]


class DiscriminatorUpdate(SummedGradient):
    """The discriminator learns source features from target features (L_adv_D)."""

    def __init__(
        self, source: TappedStudent, target: TappedStudent, discriminator: Discriminator
    ) -> None:
        self.source, self.target, self.discriminator = source, target, discriminator
        self.parameters = list(discriminator.parameters())

    def terms(self, pair: DomainBatch) -> Iterator[LossTerm]:
        """Yield the loss on each kind; the encoders are not asked for gradients."""
        pair = only_global_crops(pair)
        for half, tapped in ((pair.synthetic, self.source), (pair.real, self.target)):
            if half is not None:
                domain_logits = self.discriminator(_features(tapped, half.crops))
                yield LossTerm(
                    domain_loss(domain_logits, synthetic=half is pair.synthetic), half.share
                )


class EncoderUpdate(SummedGradient):
    """The target encoder learns to pass for the source: inverted labels (L_adv_M)."""

    def __init__(
        self, target: TappedStudent, student: nn.Module, discriminator: Discriminator
    ) -> None:
        self.target, self.student, self.discriminator = target, student, discriminator
        heads = [student.get_submodule(name) for name in classifier_names(student)]
        fixed = {id(parameter) for head in heads for parameter in head.parameters()}
        self.parameters = [
            parameter
            for parameter in student.parameters()
            if parameter.requires_grad and id(parameter) not in fixed
        ]

    def terms(self, pair: DomainBatch) -> Iterator[LossTerm]:
        """Yield the loss on real rows; accuracy is on synthetic ones, whose labels are known."""
        pair = only_global_crops(pair)
        if pair.real is None:
            return
        domain_logits = self.discriminator(self.target(pair.real.crops).features)
        loss = domain_loss(domain_logits, synthetic=True)
        if pair.synthetic is None:
            yield LossTerm(loss, pair.real.share)
        else:
            logits = self._scored(pair.synthetic.crops[0])
            labels = pair.synthetic.labels.repeat(len(logits) // len(pair.synthetic.labels))
            yield LossTerm(loss, pair.real.share, logits=logits, labels=labels)

    @torch.no_grad()
    def _scored(self, images: Tensor) -> Tensor:
        """Logits as they are when scoring: batch norm learns nothing from synthetic images."""
        self.student.eval()
        logits: Tensor = self.student(images)
        self.student.train()
        return logits


@torch.no_grad()
def _features(tapped: TappedStudent, crops: list[Tensor]) -> Tensor:
    return tapped(crops).features

"""LTDA: weights of synthetic images, learned so that the few real images are answered better.

PG/RG's table names "LTDA [25]" between Ganin (14) and Tang (51) of an alphabetical list; its paper
is not at hand, and no method calls itself so. The likeliest reading is Jamal et al. (CVPR 2020),
"Rethinking class-balanced methods for long-tailed visual recognition from a domain adaptation
perspective" (its code: Longtail_DA): target risk is source risk weighted by P_t(y) / P_s(y), a
class's weight, times P_t(x|y) / P_s(x|y), an image's own. Here the source are synthetic images and
the target the few real ones, which take the place of its balanced development set: their labels
choose weights, and no step follows their own loss. As there, an ordinary training comes first. A
ratio of densities is never negative, so that weights end at 0 (Ren et al. 2018 do so; the authors'
code does not, at rates so low that it hardly matters).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from synthgap.guidance.discriminator import only_global_crops
from synthgap.guidance.domains import DomainBatch, DomainRows
from synthgap.guidance.forward import TappedStudent, labels_of_crops
from synthgap.guidance.method_context import MethodContext
from synthgap.guidance.updates import LossTerm, MethodNetworks, SummedGradient, update_step
from synthgap.params.guidance import Ltda
from synthgap.training.loop import Phase
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator


def ltda(method_context: MethodContext) -> Sequence[Phase]:
    """Source training on synthetic images, then on the same ones by weights."""
    params = method_context.guide.ltda
    images = method_context.train_spec.images.labels[method_context.num_real :]
    of_classes = class_weights(images, method_context.num_classes, beta=params.beta)

    def method_networks(
        student: nn.Module, train_spec: TrainSpec, accelerator: Accelerator
    ) -> MethodNetworks:
        update = LtdaUpdate(
            student, train_spec, params, of_classes.to(accelerator.device), accelerator
        )
        return MethodNetworks(
            nn.ModuleDict({"student": student}), [update], {"student": params.rate}
        )

    share = method_context.guide.adaptation_share
    source, weighted = method_context.split(
        method_context.only_synthetic(), method_context.both(), share
    )
    return [Phase(source), Phase(weighted, update_step(method_networks, method_context.num_real))]


def class_weights(labels: Tensor, num_classes: int, *, beta: float) -> Tensor:
    """Weights (num_classes,) of mean 1 that fall with a class's effective number of images.

    The effective number of n images is (1 - beta^n) / (1 - beta) (Cui et al., CVPR 2019, eq. 2 and
    section 4); a class without images counts as one of a single image.
    """
    counts = torch.bincount(labels.cpu(), minlength=num_classes).clamp(min=1).double()
    weights = (1 - beta) / (1 - beta**counts)
    return (weights / weights.mean()).float()


class LtdaUpdate(SummedGradient):
    """A step on synthetic images, each by its class's weight plus its own."""

    def __init__(
        self,
        student: nn.Module,
        train_spec: TrainSpec,
        params: Ltda,
        of_classes: Tensor,
        accelerator: Accelerator,
    ) -> None:
        self.tapped = TappedStudent(student, train_spec.training.running_stats)
        self.student, self.params = student, params
        self.of_classes, self.accelerator = of_classes, accelerator
        self.moving = {
            name: parameter
            for name, parameter in student.named_parameters()
            if parameter.requires_grad
        }
        self.parameters = list(self.moving.values())

    def terms(self, pair: DomainBatch) -> Iterator[LossTerm]:
        """Yield the weighted loss of synthetic rows."""
        pair = only_global_crops(pair)
        if pair.synthetic is None:
            return
        with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
            output = self.tapped(pair.synthetic.crops)
        labels = pair.synthetic.labels
        every = functional.cross_entropy(
            output.logits, labels_of_crops(labels, output), reduction="none"
        )
        losses = every.view(-1, len(labels)).mean(dim=0)  # of a row's crops
        weights = self.of_classes[labels]
        if pair.real is not None and self.params.weight_rate > 0:
            weights = (weights + self._own(losses, weights, pair.real)).clamp(min=0)
        yield LossTerm(
            (weights * losses).mean(),
            pair.synthetic.share,
            logits=output.logits,
            labels=labels_of_crops(labels, output),
        )

    def _own(self, losses: Tensor, weights: Tensor, real: DomainRows) -> Tensor:
        """The images' own weights (rows,): how far a step on each would help the real ones.

        -weight_rate * rows * the exact derivative of the real loss after a step ahead by the mean
        weighted loss, by each own weight at 0. Gradients are averaged over processes; other parts
        of a batch are not included.
        """
        own = torch.zeros_like(losses, requires_grad=True)
        mean = ((weights + own) * losses).mean()
        found: Sequence[Tensor | None] = torch.autograd.grad(
            mean, self.parameters, create_graph=True, allow_unused=True
        )
        step = [
            torch.zeros_like(parameter) if part is None else part
            for parameter, part in zip(self.parameters, found, strict=True)
        ]
        rate = self.params.ahead_rate
        ahead = {
            name: (parameter.detach() - rate * part).requires_grad_()
            for (name, parameter), part in zip(
                self.moving.items(), self._averaged(step), strict=True
            )
        }
        wanted = torch.autograd.grad(self._real_loss(ahead, real), list(ahead.values()))
        pairs = zip(step, self._averaged(wanted), strict=True)
        along = torch.stack([(one * other).sum() for one, other in pairs]).sum()
        (agreement,) = torch.autograd.grad(along, own, retain_graph=True)
        return self.params.weight_rate * len(losses) * rate * agreement

    def _real_loss(self, weights: Mapping[str, Tensor], real: DomainRows) -> Tensor:
        """Cross-entropy of real rows at other weights; running statistics stay as they are."""
        buffers = {name: buffer.clone() for name, buffer in self.student.named_buffers()}
        logits = functional_call(self.student, {**weights, **buffers}, (real.crops[0],))
        labels = real.labels.repeat(len(logits) // len(real.labels))
        return functional.cross_entropy(logits.float(), labels)

    def _averaged(self, gradient: Sequence[Tensor]) -> list[Tensor]:
        """Over processes, without graph, in one message."""
        if self.accelerator.num_processes == 1:
            return [part.detach() for part in gradient]
        flat = torch.cat([part.detach().reshape(-1) for part in gradient])
        mean: Tensor = self.accelerator.reduce(flat, reduction="mean")
        parts = torch.split(mean, [part.numel() for part in gradient])
        return [part.view_as(like) for part, like in zip(parts, gradient, strict=True)]

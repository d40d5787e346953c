"""DADA: discriminative adversarial domain adaptation (Tang & Jia, AAAI 2020), no real labels.

One classifier says category and domain: K outputs of the student's and one more for "real". In the
source loss the two inhibit each other; the target loss asks each category's share of an image
whether it is real. Classifier and encoder want opposite things of both, and both want certainty
about the category of real images. The game begins at a student that has learned from synthetic
images, as the authors' does; after it the extra output is left behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from synthgap.guidance.discriminator import only_global_crops, ramp, seeded_network
from synthgap.guidance.domains import DomainBatch
from synthgap.guidance.forward import TappedStudent, forward_domains, labels_of_crops
from synthgap.guidance.method_context import MethodContext
from synthgap.guidance.updates import LossTerm, MethodNetworks, SummedGradient, update_step
from synthgap.models.head import CosineClassifier, classifier_name
from synthgap.params.guidance import Dada
from synthgap.training.loop import Phase
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator


def dada(method_context: MethodContext) -> Sequence[Phase]:
    """Source training on synthetic images, then the game over both kinds without real labels."""
    params = method_context.guide.dada

    def method_networks(
        student: nn.Module, train_spec: TrainSpec, _accelerator: Accelerator
    ) -> MethodNetworks:
        whole = WidenedClassifier(
            student.get_submodule(classifier_name(student)), seed=train_spec.seed
        )
        return MethodNetworks(
            nn.ModuleDict({"student": student, "domain": whole.domain}),
            [DadaUpdate(student, whole, train_spec, params)],
            {"student": params.rate, "domain": params.rate},
        )

    share = method_context.guide.adaptation_share
    source, game = method_context.split(
        method_context.only_synthetic(), method_context.both(), share
    )
    return [Phase(source), Phase(game, update_step(method_networks, method_context.num_real))]


class WidenedClassifier(nn.Module):
    """A student's classifier with one more output, of the same kind, for the domain."""

    def __init__(self, categories: nn.Module, *, seed: int) -> None:
        super().__init__()
        self.categories, self.domain = (
            categories,
            seeded_network(lambda: domain_classifier(categories), seed=seed),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Logits (rows, K + 1) of features (rows, dim); the last says "real"."""
        return torch.cat([self.categories(features), self.domain(features)], dim=1).float()

    def fixed(self, features: Tensor) -> Tensor:
        """The same, without gradients for its own weights.

        `features`: (rows, dim); logits (rows, num_classes + 1).
        """
        weights = {name: weight.detach() for name, weight in self.named_parameters()}
        logits: Tensor = functional_call(self, weights, (features,))
        return logits


def domain_classifier(like: nn.Module) -> nn.Module:
    """A fresh classifier of one output over the features of another."""
    if isinstance(like, CosineClassifier):
        return CosineClassifier(like.in_features, 1, temperature=like.temperature)
    size = like.in_features
    assert isinstance(size, int)
    return nn.Linear(size, 1)


class DadaUpdate(SummedGradient):
    """One step for all: the classifier descends its losses, the encoder the opposite ones."""

    def __init__(
        self, student: nn.Module, whole: WidenedClassifier, train_spec: TrainSpec, params: Dada
    ) -> None:
        self.tapped = TappedStudent(student, train_spec.training.running_stats)
        self.whole, self.params = whole, params
        both = [*student.parameters(), *whole.domain.parameters()]
        self.parameters = [parameter for parameter in both if parameter.requires_grad]

    def terms(self, pair: DomainBatch) -> Iterator[LossTerm]:
        """Yield one loss: of detached features for the classifier, by a fixed one for the encoder.

        The classifier minimises ramp * (source + target) + entropy, the encoder
        -ramp * (source + not target) + entropy.
        """
        strength = ramp(pair.progress, self.params.gamma)
        pair = only_global_crops(pair)
        real, synthetic = forward_domains(self.tapped, pair)
        losses: list[Tensor] = []
        if pair.real is not None and real is not None:
            losses.append(pair.real.share * self._of_real(real.features, strength))
        if pair.synthetic is None or synthetic is None:
            yield LossTerm(losses[0])
            return
        labels = labels_of_crops(pair.synthetic.labels, synthetic)
        losses.append(
            pair.synthetic.share * self._of_synthetic(synthetic.features, labels, strength)
        )
        yield LossTerm(torch.stack(losses).sum(), logits=synthetic.logits, labels=labels)

    def _of_real(self, features: Tensor, strength: float) -> Tensor:
        least, most = self.whole(features.detach()), self.whole.fixed(features)
        game = target_loss(least) + source_like_loss(most)
        return strength * game + self.params.entropy * (entropy(least) + entropy(most))

    def _of_synthetic(self, features: Tensor, labels: Tensor, strength: float) -> Tensor:
        least, most = self.whole(features.detach()), self.whole.fixed(features)
        return strength * (source_loss(least, labels) - source_loss(most, labels))


def source_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of -(1 - d) log p - d log(1 - p) in nats: p of the label, d of "real".

    `logits` (rows, K + 1), `labels` (rows,) below K. Category and domain inhibit each other: the
    more an image seems real, the less its label counts, and the other way round.
    """
    logs = logits.log_softmax(dim=1)
    label = logs.gather(1, labels[:, None]).squeeze(1)
    others = logits.scatter(1, labels[:, None], float("-inf")).logsumexp(dim=1)
    not_label = others - logits.logsumexp(dim=1)
    domain = logs[:, -1].exp()
    return -((1 - domain) * label + domain * not_label).mean()


def target_loss(logits: Tensor) -> Tensor:
    """Mean over rows of -sum_k q_k log r_k, in nats.

    q: the softmax over the K categories alone; r_k: "real" against category k, two outputs alone.

    `logits`: (rows, num_classes + 1), the domain's last; a scalar.
    """
    categories, margins = _domain_margins(logits)
    return -(categories.softmax(dim=1) * functional.logsigmoid(margins)).sum(dim=1).mean()


def source_like_loss(logits: Tensor) -> Tensor:
    """Mean over rows of -sum_k q_k log(1 - r_k), in nats: what the encoder wants of real images.

    `logits`: (rows, num_classes + 1), the domain's last; a scalar.
    """
    categories, margins = _domain_margins(logits)
    return -(categories.softmax(dim=1) * functional.logsigmoid(-margins)).sum(dim=1).mean()


def entropy(logits: Tensor) -> Tensor:
    """Mean entropy in nats over the K categories alone, of logits (rows, K + 1)."""
    logs = logits[:, :-1].log_softmax(dim=1)
    return -(logs.exp() * logs).sum(dim=1).mean()


def _domain_margins(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Category logits (rows, K), and by how much "real" exceeds each."""
    return logits[:, :-1], logits[:, -1:] - logits[:, :-1]

"""Tell real from synthetic features, and learn not to: what the adversarial baselines share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.guidance.domains import DomainBatch, DomainRows
from synthgap.seeding import derived_seed

Network = TypeVar("Network", bound=nn.Module)


class Discriminator(nn.Module):
    """Hidden layers of ReLUs over features: one logit each, above 0 for synthetic images.

    Features are first scaled to a root mean square of 1. A cosine classifier sees their direction
    alone, so their length is no evidence that a student would have to give up.
    """

    def __init__(self, num_features: int, hidden: Sequence[int]) -> None:
        super().__init__()
        widths = [num_features, *hidden]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (rows,) of features (rows, num_features)."""
        scaled = functional.normalize(features, dim=1) * math.sqrt(features.shape[1])
        logits: Tensor = self.layers(scaled)
        return logits.squeeze(1).float()


def seeded_network(make: Callable[[], Network], *, seed: int) -> Network:
    """Build an extra network from its own stream; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "guidance", "extra network"))
        return make()


def domain_loss(logits: Tensor, *, synthetic: bool) -> Tensor:
    """Mean binary cross-entropy in nats of logits (rows,) all of one kind."""
    return functional.softplus(-logits if synthetic else logits).mean()


def ramp(progress: float, gamma: float) -> float:
    """2 / (1 + exp(-gamma * progress)) - 1: from 0 towards 1 (Ganin et al. 2016, section 5.2)."""
    return 2 / (1 + math.exp(-gamma * progress)) - 1


def reverse_gradient(features: Tensor, factor: float) -> Tensor:
    """The features themselves; their gradient comes back times -`factor`.

    `features`: (rows, dim).
    """
    reversed_: Tensor = _GradientReversal.apply(features, factor)
    return reversed_


class _GradientReversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, factor: float) -> Tensor:  # noqa: ANN401 - torch's own
        ctx.factor = factor
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch's own
        return -ctx.factor * gradients[0], None


def only_global_crops(pair: DomainBatch) -> DomainBatch:
    """The same rows with their crops of the first size alone, which are what has features."""
    return replace(pair, real=_first_size(pair.real), synthetic=_first_size(pair.synthetic))


def _first_size(half: DomainRows | None) -> DomainRows | None:
    return None if half is None else replace(half, crops=half.crops[:1])

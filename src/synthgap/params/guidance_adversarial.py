"""Domain adaptation as a baseline: DANN, ADDA, DADA, and LTDA's learned weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Dann:
    """DANN (Ganin et al. 2016): features that do not tell real from synthetic images.

    `hidden` are the widths of the discriminator's hidden layers; the reversed gradient counts
    `weight` * (2 / (1 + exp(-gamma * progress)) - 1); `discriminator_rate` is a factor on the
    learning rate.
    """

    hidden: tuple[int, ...]
    gamma: float
    weight: float
    discriminator_rate: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        yield from _widths(self.hidden)
        yield from _above(gamma=self.gamma, discriminator_rate=self.discriminator_rate)
        yield from _at_least(weight=self.weight)


@dataclass(frozen=True)
class Adda:
    """ADDA (Tzeng et al. 2017): a target encoder that passes for the source's.

    After source training the game: the encoder moves at `rate` times the learning rate, the
    discriminator, with hidden layers of `hidden` widths, at `discriminator_rate` times.
    """

    hidden: tuple[int, ...]
    rate: float
    discriminator_rate: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        yield from _widths(self.hidden)
        yield from _above(rate=self.rate, discriminator_rate=self.discriminator_rate)


@dataclass(frozen=True)
class Dada:
    """DADA (Tang & Jia, AAAI 2020): category and domain from one classifier of K + 1 outputs.

    After source training the game, at `rate` times the learning rate. `gamma` is that of DANN's
    schedule; `entropy` weighs the entropy of what is said of real images, paper 1.
    """

    gamma: float
    entropy: float
    rate: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        yield from _above(gamma=self.gamma, rate=self.rate)
        yield from _at_least(entropy=self.entropy)


@dataclass(frozen=True)
class Ltda:
    """LTDA, read as Jamal et al. (CVPR 2020): weights of synthetic images, learned on real ones.

    After source training without weights, each image's weight is its class's (effective numbers
    with `beta`, Cui et al. 2019) plus one of its own: `weight_rate` against the gradient of the
    real images' loss after a step ahead of `ahead_rate`. `rate` is a factor on the learning rate.
    """

    beta: float
    ahead_rate: float
    weight_rate: float
    rate: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if not 0 <= self.beta < 1:
            yield f"beta: {self.beta}, expected 0 up to (not including) 1"
        yield from _above(ahead_rate=self.ahead_rate, rate=self.rate)
        yield from _at_least(weight_rate=self.weight_rate)


def _widths(hidden: tuple[int, ...]) -> Iterator[str]:
    if any(width < 1 for width in hidden):
        yield f"hidden: {list(hidden)}, expected widths of at least 1"


def _above(**values: float) -> Iterator[str]:
    for name, value in values.items():
        if value <= 0:
            yield f"{name}: {value}, expected above 0"


def _at_least(**values: float) -> Iterator[str]:
    for name, value in values.items():
        if value < 0:
            yield f"{name}: {value}, expected 0 or more"

"""Domain adaptation as a baseline: DANN, ADDA, DADA, and LTDA's learned weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from synthgap.params.references import Asg, Csg
from synthgap.params.students import Policy


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
    schedule; `entropy` weighs the entropy of predictions on real images, paper 1.
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


Distance = Literal["cosine", "l2"]
Similarity = Literal["l1", "kl"]


@dataclass(frozen=True)
class Weights:
    """lambda_3 of each similarity: their scales differ (guidance/pairwise.py)."""

    l1: float
    kl: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.l1 < 0 or self.kl < 0:
            yield f"l1: {self.l1}, kl: {self.kl}, expected 0 or more"


@dataclass(frozen=True)
class Pg:
    """Pretrained Guidance: the student's relations between images follow a frozen reference's.

    `tap` and `reference_tap` are after how many units features are pooled; null: what the
    classifier receives.
    """

    reference: str
    reference_tap: int | None
    tap: int | None
    distance: Distance
    similarity: Similarity
    temperature: float
    lambda_3: Weights

    @property
    def weight(self) -> float:
        """The lambda_3 that goes with the similarity."""
        return self.lambda_3.l1 if self.similarity == "l1" else self.lambda_3.kl

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.temperature <= 0:
            yield f"temperature: {self.temperature}, expected above 0"
        for name in ("tap", "reference_tap"):
            value = getattr(self, name)
            if value is not None and value < 1:
                yield f"{name}: {value}, expected a number of units, at least 1, or null"


@dataclass(frozen=True)
class Rg:
    """Real Guidance: update = lambda_1 g_r + lambda_2 (g_f without what opposes g_r)."""

    lambda_1: float
    lambda_2: float
    projection: Literal["whole", "unit"]

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.lambda_1 < 0 or self.lambda_2 < 0 or self.lambda_1 + self.lambda_2 == 0:
            yield (
                f"lambda_1: {self.lambda_1}, lambda_2: {self.lambda_2}, expected 0 or more, and "
                "not both 0"
            )


@dataclass(frozen=True)
class Prefix:
    """MtG: units [0, depth) learned from synthetic images and frozen, the rest anew on real ones.

    `adaptation_share` of the epochs are for the real images.
    """

    depth: int
    adaptation_share: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.depth < 1:
            yield f"depth: {self.depth}, expected at least 1"
        if not 0 < self.adaptation_share < 1:
            yield f"adaptation_share: {self.adaptation_share}, expected above 0, below 1"


MethodName = Literal[
    "real", "bound", "synthetic", "pooled", "balanced", "adaptation",
    "prefix", "a-gem", "asg", "csg", "dann", "adda", "dada", "ltda",
    "pg", "pg-r", "pg-f", "pg-l1", "pg-kl", "rg", "rg-pg-r", "rg-pg-f", "rg-pg",
]  # fmt: skip
Init = Literal["random", "reference", "pretrained"]


@dataclass(frozen=True)
class GuideProtocol:
    """One cell of stage `guide`: which images, from which start, by which methods.

    `real_per_class` 0 is zero-shot, null all there are. `synthetic_ratio` is of synthetic images
    to real ones; null: all there are. `methods` run at the first of guide.seeds, `compared` ones
    at every seed.
    """

    real_per_class: int | None
    synthetic_ratio: float | None
    init: Init
    compared: tuple[MethodName, ...]
    methods: tuple[MethodName, ...]

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.real_per_class is not None and self.real_per_class < 0:
            yield f"real_per_class: {self.real_per_class}, expected 0 (zero-shot), more, or null"
        if self.synthetic_ratio is not None and self.synthetic_ratio <= 0:
            yield f"synthetic_ratio: {self.synthetic_ratio}, expected above 0, or null"
        if self.synthetic_ratio is not None and self.real_per_class == 0:
            yield "synthetic_ratio: to no real image (real_per_class: 0); expected null"
        both = [*self.compared, *self.methods]
        if not both or len(set(both)) < len(both):
            yield f"compared, methods: {both}, expected at least one, none twice"


@dataclass(frozen=True)
class Guide:
    """How the methods learn; what a method needs of its own is under its name.

    All take as many optimiser steps, of training.batch_size images; `real_share` of them are real
    where a method wants both kinds in every step. Methods of two phases have `adaptation_share`
    of the epochs for the second one; `adaptation_rate` is a factor on its learning rate where it
    sees real images alone.
    """

    image_set: str
    seeds: tuple[int, ...]
    epochs: int
    augmentation: Policy
    real_share: float
    adaptation_share: float
    adaptation_rate: float
    pg: Pg
    rg: Rg
    asg: Asg
    csg: Csg
    prefix: Prefix
    dann: Dann
    adda: Adda
    dada: Dada
    ltda: Ltda

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            yield f"seeds: {list(self.seeds)}, expected at least one, without repeats"
        if self.epochs < 2:
            yield f"epochs: {self.epochs}, expected at least 2 (some methods have two phases)"
        for name in ("real_share", "adaptation_share"):
            if not 0 < getattr(self, name) < 1:
                yield f"{name}: {getattr(self, name)}, expected above 0, below 1"
        if self.adaptation_rate <= 0:
            yield f"adaptation_rate: {self.adaptation_rate}, expected above 0"

    @property
    def references(self) -> dict[str, str]:
        """Names of the references that the methods ask for, by place in params.yaml."""
        return {
            f"guide.{name}.reference": str(getattr(self, name).reference)
            for name in ("pg", "asg", "csg")
        }

"""Sections `guide` and `protocols`: ways to learn from synthetic and few real images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from synthgap.params.guidance_adversarial import Adda, Dada, Dann, Ltda
from synthgap.params.guidance_losses import Pg, Prefix, Rg
from synthgap.params.guidance_references import Asg, Csg
from synthgap.params.students import Policy

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

"""Sections of params.yaml about students: what they are, how they learn, in which experiments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

Policy = Literal["none", "pytorch", "autoaugment", "augmix", "pixmix", "dino"]
Subset = Literal["stratified", "random", "uncertainty", "coreset"]


@dataclass(frozen=True)
class Student:
    """The classifier: a timm name, its keyword arguments and the head."""

    model: str
    options: dict[str, int | float | str | bool | tuple[int, ...]]
    stem: Literal["imagenet", "small"]
    init: Literal["random", "pretrained", "file"]
    weights: str | None
    head: Literal["cosine", "linear"]
    temperature: float

    def at_random(self) -> Student:
        """The same network with no weights to start from, for whoever brings all of them."""
        return replace(self, init="random", weights=None)

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if (self.init == "file") != (self.weights is not None):
            yield (
                f"init: {self.init}, weights: {self.weights}, expected a .safetensors file with "
                "init: file, and null without"
            )
        if self.temperature <= 0:
            yield f"temperature: {self.temperature}, expected above 0"


@dataclass(frozen=True)
class Train:
    """From-scratch students, one cell a source, and linear probes of their features."""

    seeds: tuple[int, ...]
    probe_images: int

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.probe_images < 0:
            yield f"probe_images: {self.probe_images}, expected at least 0 (no probes)"


@dataclass(frozen=True)
class Transfer:
    """Layer-wise transfer in both directions, one cell a depth."""

    guidance_scale: float
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Control:
    """real->real and synthetic->synthetic, one cell a depth: what freezing itself costs."""

    guidance_scale: float
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Reduce:
    """Fewer real labels, with and without a synthetic donor, one cell a share of them."""

    guidance_scale: float
    seeds: tuple[int, ...]
    depths: tuple[int, ...]
    subset: Subset
    budget: Literal["epochs", "iterations"]

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if any(depth < 1 for depth in self.depths) or len(set(self.depths)) < len(self.depths):
            yield f"depths: {list(self.depths)}, expected different whole numbers from 1"


@dataclass(frozen=True)
class Ablate:
    """Tables 1 to 5 of MtG for this recipe, and sources beyond them; one cell a table."""

    guidance_scale: float
    seeds: tuple[int, ...]
    policies: tuple[Policy, ...]
    subsets: tuple[Subset, ...]
    depth: int
    real_shares: tuple[float, ...]
    mixing: Literal["epoch", "fixed"]
    subset_denominator: int

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.depth < 1:
            yield f"depth: {self.depth}, expected at least 1"
        if any(not 0 <= share <= 1 for share in self.real_shares):
            yield f"real_shares: {list(self.real_shares)}, expected 0 to 1"
        if self.subset_denominator < 1:
            yield f"subset_denominator: {self.subset_denominator}, expected at least 1"
        for name in ("policies", "subsets"):
            rows = getattr(self, name)
            if not rows or len(set(rows)) < len(rows):
                yield f"{name}: {list(rows)}, expected at least one, without repeats"
        if "random" not in self.subsets:
            yield f"subsets: {list(self.subsets)}, expected `random`, which the others are held to"


@dataclass(frozen=True)
class Clone:
    """Does the generator's setting matter? Students and probes of every set (FITYMI, Table 1).

    Sets in `curve_sets` are learned at `curve_shares` of them instead (1.0: all), whose sets nest
    (Fig. 4).
    """

    seeds: tuple[int, ...]
    curve_sets: tuple[str, ...]
    curve_shares: tuple[float, ...]

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if not self.seeds:
            yield "seeds: [], expected at least one"
        if any(not 0 < share <= 1 for share in self.curve_shares):
            yield f"curve_shares: {list(self.curve_shares)}, expected above 0, at most 1"


@dataclass(frozen=True)
class Layers:
    """Why late layers fail: CKA of the units of two students, and linear probes on real data."""

    guidance_scale: float
    seeds: tuple[int, ...]
    max_images: int

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.max_images < 10:
            yield f"max_images: {self.max_images}, expected at least 10"

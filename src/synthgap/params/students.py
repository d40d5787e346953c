"""Section `gap`: where the gap between sources comes from, and which synthetic images to add."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

REAL, CORPUS = "train", "corpus"
CORNER = 0.7071  # cycles a pixel: no image holds a higher frequency


@dataclass(frozen=True)
class Gap:
    """Sources held against each other, and the sampling experiment (PG/RG paper, sections 1, 3).

    `sets` are of grid.sets, the real one first; their students of `seeds` judge each other's
    images. Of the sets of `sampled`, `share` of every class is added to the real images.
    """

    sets: tuple[str, ...]
    seeds: tuple[int, ...]
    max_images: int
    bins: int
    high_frequency: float
    saturated_within: float
    sampled: tuple[str, ...]
    share: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if len(self.sets) < 2 or self.sets[0] != REAL:
            yield f"sets: {list(self.sets)}, expected {REAL!r} first and at least one more"
        made = [name for name in self.sets if name not in (REAL, CORPUS)]
        if not set(self.sampled) <= set(made):
            yield f"sampled: {list(self.sampled)}, expected synthetic ones of sets ({made})"
        for name in ("sets", "seeds", "sampled"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                yield f"{name}: {list(values)}, expected at least one, without repeats"
        yield from self._range_problems()

    def _range_problems(self) -> Iterator[str]:
        if self.max_images < 10:
            yield f"max_images: {self.max_images}, expected at least 10"
        if self.bins < 2:
            yield f"bins: {self.bins}, expected at least 2"
        if not 0 < self.high_frequency < CORNER:
            yield f"high_frequency: {self.high_frequency}, expected above 0, below {CORNER}"
        if self.saturated_within <= 0:
            yield f"saturated_within: {self.saturated_within}, expected above 0 (points)"
        if not 0 < self.share < 1:
            yield f"share: {self.share}, expected above 0, below 1"


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

"""Sections `guide.pg`, `guide.rg` (Wang et al.) and `guide.prefix` (MtG)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

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

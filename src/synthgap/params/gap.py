"""Section `gap`: where the gap between sources comes from, and which synthetic images to add."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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

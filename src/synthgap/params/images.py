"""Sections of params.yaml about real images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

SplitSize = int | float | Literal["rest", "official", "none"]


@dataclass(frozen=True)
class Splits:
    """Size of each split: images a class (int), a share of the class (float below 1), or a word."""

    corpus: SplitSize
    train: SplitSize
    val: SplitSize
    test: SplitSize

    def problems(self) -> Iterator[str]:
        """Name every size that cannot be met whatever the images are."""
        sizes = {"corpus": self.corpus, "train": self.train, "val": self.val, "test": self.test}
        for name, size in sizes.items():
            if isinstance(size, int) and size < 1:
                yield f"{name}: {size}, expected at least 1 image a class"
            if isinstance(size, float) and not 0 < size < 1:
                yield f"{name}: {size}, expected a share between 0 and 1"
            if size == "official" and name in ("corpus", "train"):
                yield f"{name}: official, but only val and test can be an official folder"
        yield from self._sum_problems(list(sizes.values()))

    def _sum_problems(self, sizes: list[SplitSize]) -> Iterator[str]:
        if sizes.count("rest") > 1:
            yield "at most one split can be `rest`"
        if "none" in (self.train, self.test):
            yield "train and test cannot be `none`"
        shares = sum(size for size in sizes if isinstance(size, float))
        if shares > 1:
            yield f"shares sum to {shares:g}, expected at most 1"


@dataclass(frozen=True)
class Data:
    """Which image set under data/ is used, and how ingest stores it."""

    name: str
    image_size: int
    encoding: Literal["png", "original"]
    splits: Splits

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.image_size < 8:
            yield f"image_size: {self.image_size}, expected at least 8 px"
        if not self.name or self.name != self.name.strip("./\\") or "/" in self.name:
            yield f"name: {self.name!r}, expected the name of a folder in data/"

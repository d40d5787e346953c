"""The section of params.yaml about the gate: what every image set is held to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Literal


@dataclass(frozen=True)
class Validate:
    """Limits of the gate: shares are of one set's images, the others are grey levels, 0 to 255.

    Two images are near-copies when their distance is at most `near_margin` times the
    `near_quantile` of nearest-neighbour distances within `corpus`. Limits of fidelity are null
    where nothing is expected; they hold in the features of stage `fidelity`.
    """

    near_size_px: int
    near_shift_px: int
    near_quantile: float
    near_margin: float
    max_real_copy_share: float
    max_memorised_share: float
    max_leaked_share: float
    max_synthetic_duplicate_share: float
    max_class_imbalance: float
    min_pixel_std: float
    max_channel_mean_shift: float
    max_channel_std_ratio: float
    max_fid: float | None
    max_kid: float | None
    min_coverage: float | None
    min_agreement: float | None
    min_authenticity: float | None
    min_clip_score: float | None

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        limits: dict[str, tuple[float, float]]
        limits = {"near_size_px": (4, 32), "near_shift_px": (0, 3), "near_margin": (0, 1)}
        limits |= {name: (0, 1) for name in self.__dataclass_fields__ if name.endswith("_share")}
        limits |= {"max_class_imbalance": (1, inf), "max_channel_std_ratio": (1, inf)}
        limits |= {"min_pixel_std": (0, 255), "max_channel_mean_shift": (0, 255)}
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                yield f"{name}: {getattr(self, name)}, expected {least:g} to {most:g}"
        yield from self._fidelity_problems()
        if not 0 < self.near_quantile < 1:
            yield f"near_quantile: {self.near_quantile}, expected between 0 and 1"

    def _fidelity_problems(self) -> Iterator[str]:
        limits = {"max_fid": (0, inf), "max_kid": (0, inf), "min_clip_score": (-1, 1)}
        limits |= {"min_coverage": (0, 1), "min_agreement": (0, 1)}
        limits |= {"min_authenticity": (0, 1)}
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                yield f"{name}: {value}, expected {least:g} to {most:g}, or null"


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

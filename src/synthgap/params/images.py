"""Sections of params.yaml about images: the real ones, the generated ones, and their gate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
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


@dataclass(frozen=True)
class Pin:
    """A generator made elsewhere: hub id or local folder, with what pins it."""

    location: str
    revision: str | None
    sha256: str | None


@dataclass(frozen=True)
class Autoencoder:
    """AutoencoderKL of the locally trained generator."""

    channels: tuple[int, ...]
    latent_channels: int
    steps: int
    batch_size: int
    learning_rate: float
    kl_weight: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        yield from _learning_problems(self)
        if self.latent_channels < 1:
            yield f"latent_channels: {self.latent_channels}, expected at least 1"
        if self.kl_weight < 0:
            yield f"kl_weight: {self.kl_weight}, expected at least 0"


@dataclass(frozen=True)
class Denoiser:
    """Text encoder and UNet2DConditionModel of the locally trained generator."""

    channels: tuple[int, ...]
    text_width: int
    steps: int
    batch_size: int
    learning_rate: float
    caption: str
    caption_dropout: float
    ema_decay: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        yield from _learning_problems(self)
        if self.text_width < 8 or self.text_width % 8:
            yield f"text_width: {self.text_width}, expected a multiple of 8"
        if "{class}" not in self.caption:
            yield f"caption: {self.caption!r}, expected a template that contains {{class}}"
        if not 0 <= self.caption_dropout < 1:
            yield f"caption_dropout: {self.caption_dropout}, expected 0 up to (not including) 1"
        if not 0 <= self.ema_decay < 1:
            yield f"ema_decay: {self.ema_decay}, expected 0 up to (not including) 1"


def _learning_problems(phase: Autoencoder | Denoiser) -> Iterator[str]:
    if not phase.channels or any(width < 8 or width % 8 for width in phase.channels):
        yield f"channels: {list(phase.channels)}, expected multiples of 8"
    for name in ("steps", "batch_size"):
        if getattr(phase, name) < 1:
            yield f"{name}: {getattr(phase, name)}, expected at least 1"
    if phase.learning_rate <= 0:
        yield f"learning_rate: {phase.learning_rate}, expected above 0"


@dataclass(frozen=True)
class Generator:
    """Where synthetic images come from: trained here on `corpus`, or pinned."""

    kind: Literal["train", "pin"]
    pin: Pin | None
    threads: int
    checkpoint_every_steps: int
    autoencoder: Autoencoder
    denoiser: Denoiser

    def problems(self) -> Iterator[str]:
        """Name every contradiction between the kind and its settings."""
        if self.kind == "pin" and self.pin is None:
            yield "kind: pin, but `pin` is null; expected location, revision, sha256"
        if self.kind == "train" and self.pin is not None:
            yield "kind: train, but `pin` is set; expected pin: null"
        for name in ("threads", "checkpoint_every_steps"):
            if getattr(self, name) < 1:
                yield f"{name}: {getattr(self, name)}, expected at least 1"


@dataclass(frozen=True)
class Synthesize:
    """How a synthetic set is sampled; the guidance scale is the cell's coordinate."""

    prompt: str
    negative_prompt: str
    per_class: int | Literal["as_train"]
    steps: int
    width: int
    height: int
    compute_batch: int
    threads: int

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if "{class}" not in self.prompt:
            yield f"prompt: {self.prompt!r}, expected a template that contains {{class}}"
        for name in ("steps", "width", "height", "compute_batch", "threads"):
            if getattr(self, name) < 1:
                yield f"{name}: {getattr(self, name)}, expected at least 1"
        if isinstance(self.per_class, int) and self.per_class < 1:
            yield f"per_class: {self.per_class}, expected at least 1 or `as_train`"


@dataclass(frozen=True)
class Validate:
    """Limits of the gate: shares are of one set's images, the others are grey levels, 0 to 255.

    Two images are near-copies when their distance is at most `near_margin` times the
    `near_quantile` of nearest-neighbour distances within `corpus`.
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
        if not 0 < self.near_quantile < 1:
            yield f"near_quantile: {self.near_quantile}, expected between 0 and 1"

"""Sections of params.yaml about students: what they are, how they learn, in which experiments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Student:
    """The classifier: a timm name, its keyword arguments and the head."""

    model: str
    options: dict[str, int | float | str | bool | tuple[int, ...]]
    head: Literal["cosine", "linear"]
    temperature: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.temperature <= 0:
            yield f"temperature: {self.temperature}, expected above 0"


@dataclass(frozen=True)
class Crops:
    """One group of crops of the multi-crop policy."""

    count: int
    size: int
    scale: tuple[float, float]
    flip: float
    jitter: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    grayscale: float
    blur: float
    solarise: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        low, high = self.scale
        if not 0 < low <= high <= 1:
            yield f"scale: [{low}, {high}], expected 0 < low <= high <= 1"
        if self.count < 0 or self.size < 4:
            yield f"count: {self.count}, size: {self.size}, expected count >= 0 and size >= 4"
        for name in ("flip", "jitter", "grayscale", "blur", "solarise"):
            if not 0 <= getattr(self, name) <= 1:
                yield f"{name}: {getattr(self, name)}, expected a probability"
        if not 0 <= self.hue <= 0.5:
            yield f"hue: {self.hue}, expected 0 to 0.5"


@dataclass(frozen=True)
class Training:
    """One student's training: optimiser, schedule (MtG eq. 4) and augmentation."""

    epochs: int
    batch_size: int
    base_lr: float
    final_lr: float
    warmup_epochs: int
    momentum: float
    weight_decay: float
    last_epochs: int
    frozen_bn_stats: Literal["eval", "update"]
    running_stats: Literal["all_crops", "global_crops"]
    normalise: Literal["imagenet", "train_set"]
    augmentation: Literal["dino", "pytorch", "none"]
    global_crops: Crops
    local_crops: Crops

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.epochs < 1 or self.batch_size < 1:
            yield f"epochs: {self.epochs}, batch_size: {self.batch_size}, expected at least 1"
        if not 0 <= self.warmup_epochs < self.epochs:
            yield f"warmup_epochs: {self.warmup_epochs}, expected 0 to {self.epochs - 1}"
        if not 1 <= self.last_epochs <= self.epochs:
            yield f"last_epochs: {self.last_epochs}, expected 1 to {self.epochs} (epochs)"
        if self.base_lr <= 0:
            yield f"base_lr: {self.base_lr}, expected above 0"
        if self.global_crops.count < 1:
            yield "global_crops.count: expected at least 1"


@dataclass(frozen=True)
class Train:
    """From-scratch students, one cell a source."""

    seeds: tuple[int, ...]


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
    """Fewer real labels, with and without a synthetic donor."""

    guidance_scale: float
    seeds: tuple[int, ...]
    subset: Literal["stratified", "uniform"]
    budget: Literal["epochs", "iterations"]

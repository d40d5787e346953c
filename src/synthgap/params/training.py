"""Section `training`: optimiser, schedule, normalisation, augmentation and supervision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


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
class AugMix:
    """AugMix (Hendrycks et al. 2020): chains of operations, mixed with each other and the image."""

    severity: int
    width: int
    depth: int
    alpha: float
    jsd_weight: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if not 1 <= self.severity <= 10:
            yield f"severity: {self.severity}, expected 1 to 10"
        if self.width < 1 or (self.depth < 1 and self.depth != -1):
            yield f"width: {self.width}, depth: {self.depth}, expected at least 1 (or depth -1)"
        if self.alpha <= 0 or self.jsd_weight < 0:
            given = f"alpha: {self.alpha}, jsd_weight: {self.jsd_weight}"
            yield f"{given}, expected above 0, and 0 or more"


@dataclass(frozen=True)
class PixMix:
    """PixMix (Hendrycks et al. 2022): `pictures` is `fractals` (made locally) or a folder."""

    pictures: str
    num_pictures: int
    severity: int
    rounds: int
    beta: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.num_pictures < 1 or self.rounds < 0:
            yield (
                f"num_pictures: {self.num_pictures}, rounds: {self.rounds}, "
                "expected at least 1 and at least 0"
            )
        if not 1 <= self.severity <= 10:
            yield f"severity: {self.severity}, expected 1 to 10"
        if self.beta <= 0:
            yield f"beta: {self.beta}, expected above 0"


@dataclass(frozen=True)
class Training:
    """One student's training: optimiser, schedule (MtG eq. 4), augmentation and supervision."""

    epochs: int
    batch_size: int
    accumulate: int
    optimizer: Literal["sgd", "adam", "adamw"]
    base_lr: float
    lr_scaling: Literal["batch", "none"]
    final_lr: float
    warmup_epochs: int
    schedule: Literal["cosine", "linear", "constant"]
    momentum: float
    weight_decay: float
    last_epochs: int
    frozen_bn_stats: Literal["eval", "update"]
    running_stats: Literal["all_crops", "global_crops"]
    scoring_stats: Literal["running", "batch"]
    normalise: Literal["imagenet", "train_set", "fed_set"]
    supervision: Literal["labels", "embeddings", "both"]
    embedding_weight: float
    augmentation: Literal["dino", "pytorch", "autoaugment", "augmix", "pixmix", "none"]
    global_crops: Crops
    local_crops: Crops
    augmix: AugMix
    pixmix: PixMix

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        for name in ("epochs", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                yield f"{name}: {getattr(self, name)}, expected at least 1"
        if self.accumulate >= 1 and self.batch_size % self.accumulate:
            yield f"accumulate: {self.accumulate}, expected to divide batch_size {self.batch_size}"
        if not 0 <= self.warmup_epochs < self.epochs:
            yield f"warmup_epochs: {self.warmup_epochs}, expected 0 to {self.epochs - 1}"
        if not 1 <= self.last_epochs <= self.epochs:
            yield f"last_epochs: {self.last_epochs}, expected 1 to {self.epochs} (epochs)"
        if self.base_lr <= 0 or self.embedding_weight < 0:
            yield (
                f"base_lr: {self.base_lr}, embedding_weight: {self.embedding_weight}, expected "
                "above 0, and 0 or more"
            )
        if self.global_crops.count < 1:
            yield "global_crops.count: expected at least 1"

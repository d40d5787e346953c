"""Sections of params.yaml about generators: the recipe's own, and its rivals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


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
    captions: tuple[str, ...]
    caption_dropout: float
    ema_decay: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        yield from _learning_problems(self)
        if self.text_width < 8 or self.text_width % 8:
            yield f"text_width: {self.text_width}, expected a multiple of 8"
        if not self.captions or any("{class}" not in caption for caption in self.captions):
            yield f"captions: {list(self.captions)}, expected templates that contain {{class}}"
        if not 0 <= self.caption_dropout < 1:
            yield f"caption_dropout: {self.caption_dropout}, expected 0 up to (not including) 1"
        if not 0 <= self.ema_decay < 1:
            yield f"ema_decay: {self.ema_decay}, expected 0 up to (not including) 1"


@dataclass(frozen=True)
class Transformer:
    """DiTTransformer2DModel of a rival trained here, by class, on the main one's latents."""

    width: int
    layers: int
    heads: int
    steps: int
    batch_size: int
    learning_rate: float
    label_dropout: float
    ema_decay: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        yield from _learning_problems(self)
        for name in ("layers", "heads"):
            if getattr(self, name) < 1:
                yield f"{name}: {getattr(self, name)}, expected at least 1"
        if self.heads > 0 and self.width % self.heads:
            yield f"heads: {self.heads}, expected a divisor of width ({self.width})"
        for name in ("label_dropout", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                yield f"{name}: {getattr(self, name)}, expected 0 up to (not including) 1"


@dataclass(frozen=True)
class Generator:
    """Where synthetic images come from: trained here on `corpus`, pinned, or a folder of samples.

    With `min_confidence` samples are labelled by the judge and kept from that confidence on, for
    generators that know no classes.
    """

    kind: Literal["train", "pin", "folder"]
    pin: Pin | None
    licence: str | None
    min_confidence: float | None
    threads: int
    checkpoint_every_steps: int
    autoencoder: Autoencoder
    denoiser: Denoiser

    def problems(self) -> Iterator[str]:
        """Name every contradiction between the kind and its settings."""
        yield from _source_problems(self)


@dataclass(frozen=True)
class Rival:
    """Another generator, for sets named `<rival>-g<scale>`; trained, it is a small DiT."""

    kind: Literal["train", "pin", "folder"]
    pin: Pin | None
    licence: str | None
    min_confidence: float | None
    threads: int
    checkpoint_every_steps: int
    transformer: Transformer | None

    def problems(self) -> Iterator[str]:
        """Name every contradiction between the kind and its settings."""
        yield from _source_problems(self)
        if self.kind == "train" and self.transformer is None:
            yield "kind: train, but `transformer` is null; expected its settings"


def _source_problems(source: Generator | Rival) -> Iterator[str]:
    if source.kind != "train" and source.pin is None:
        yield f"kind: {source.kind}, but `pin` is null; expected location, revision, sha256"
    if source.kind == "train" and source.pin is not None:
        yield "kind: train, but `pin` is set; expected pin: null"
    least = source.min_confidence
    if least is not None and not 0 <= least < 1:
        yield f"min_confidence: {least}, expected 0 up to (not including) 1, or null"
    for name in ("threads", "checkpoint_every_steps"):
        if getattr(source, name) < 1:
            yield f"{name}: {getattr(source, name)}, expected at least 1"


def _learning_problems(phase: Autoencoder | Denoiser | Transformer) -> Iterator[str]:
    widths = [phase.width] if isinstance(phase, Transformer) else phase.channels
    if not widths or any(width < 8 or width % 8 for width in widths):
        name = "width" if isinstance(phase, Transformer) else "channels"
        yield f"{name}: {list(widths)}, expected multiples of 8"
    for name in ("steps", "batch_size"):
        if getattr(phase, name) < 1:
            yield f"{name}: {getattr(phase, name)}, expected at least 1"
    if phase.learning_rate <= 0:
        yield f"learning_rate: {phase.learning_rate}, expected above 0"

"""Sections of params.yaml about images made from images, and the teacher that embeds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from synthgap.params.generators import Pin


@dataclass(frozen=True)
class StylePin:
    """Weights of an AdaIN network made elsewhere: safetensors of VGG-19's encoder and a decoder.

    `encoder: torchvision` takes torchvision's VGG-19 weights for ImageNet.
    """

    encoder: str
    decoder: str


@dataclass(frozen=True)
class Stylise:
    """Style transfer of whole image sets (AdaIN, Huang and Belongie 2017; MtG, Table 3)."""

    guidance_scale: float
    kind: Literal["train", "pin"]
    pin: StylePin | None
    pictures: str
    num_pictures: int
    strength: float
    channels: tuple[int, ...]
    steps: int
    batch_size: int
    learning_rate: float
    style_weight: float
    threads: int

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        yield from _kind_problems(self.kind, pinned=self.pin is not None)
        if not 0 <= self.strength <= 1:
            yield f"strength: {self.strength}, expected 0 (the image itself) to 1"
        if len(self.channels) < 2 or any(width < 1 for width in self.channels):
            yield f"channels: {list(self.channels)}, expected at least two widths"
        yield from _counts(self, "num_pictures", "steps", "batch_size", "threads")
        for name in ("learning_rate", "style_weight"):
            if getattr(self, name) <= 0:
                yield f"{name}: {getattr(self, name)}, expected above 0"


@dataclass(frozen=True)
class Teacher:
    """A CLIP: an image tower learned on `corpus` beside the generator's text encoder, or a pin."""

    kind: Literal["train", "pin"]
    pin: Pin | None
    prompt: str
    width: int
    layers: int
    patch_px: int
    steps: int
    batch_size: int
    learning_rate: float
    threads: int

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        yield from _kind_problems(self.kind, pinned=self.pin is not None)
        if "{class}" not in self.prompt:
            yield f"prompt: {self.prompt!r}, expected a template that contains {{class}}"
        if self.width < 8 or self.width % 8:
            yield f"width: {self.width}, expected a multiple of 8"
        yield from _counts(self, "layers", "patch_px", "steps", "batch_size", "threads")
        if self.learning_rate <= 0:
            yield f"learning_rate: {self.learning_rate}, expected above 0"


@dataclass(frozen=True)
class Oracle:
    """One image for every real training image, from its embedding (unCLIP; MtG, Table 4)."""

    kind: Literal["train", "pin"]
    pin: Pin | None
    guidance_scale: float
    sampling_steps: int
    noise_level: int
    compute_batch: int
    steps: int
    batch_size: int
    learning_rate: float
    threads: int

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        yield from _kind_problems(self.kind, pinned=self.pin is not None)
        yield from _counts(
            self, "sampling_steps", "compute_batch", "steps", "batch_size", "threads"
        )
        if not 0 <= self.noise_level < 1000:
            yield f"noise_level: {self.noise_level}, expected 0 to 999 diffusion steps"
        if self.learning_rate <= 0:
            yield f"learning_rate: {self.learning_rate}, expected above 0"


def _kind_problems(kind: str, *, pinned: bool) -> Iterator[str]:
    if (kind == "pin") != pinned:
        yield f"kind: {kind}, but `pin` is {'set' if pinned else 'null'}; expected both or neither"


def _counts(section: Stylise | Teacher | Oracle, *names: str) -> Iterator[str]:
    for name in names:
        if getattr(section, name) < 1:
            yield f"{name}: {getattr(section, name)}, expected at least 1"

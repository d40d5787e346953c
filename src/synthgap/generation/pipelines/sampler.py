"""One sampler interface over all pipelines: settings, requests, results, and how a family draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from synthgap.generation.libraries import AutoencoderModel

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SamplingSettings:
    """How images are sampled; a generator reads what it understands.

    Every forward pass but the autoencoder's has `compute_batch` images, which guidance doubles;
    the autoencoder's has `decode_batch`. `scheduler` is a name of `schedulers.SCHEDULERS`, or None
    for the pipeline's own. Without `width` and `height` images have the pipeline's own size.
    `noise_level` is that of embeddings that prompt (unCLIP).
    """

    negative_prompt: str
    guidance_scale: float
    steps: int
    scheduler: str | None
    width: int | None
    height: int | None
    compute_batch: int
    decode_batch: int
    safety: bool = False
    noise_level: int = 0


@dataclass(frozen=True)
class Request:
    """One image, which is a function of these alone on one hardware class.

    A generator takes of it what it understands: `prompt` if it reads text, `label` and
    `class_name` (an index into the dataset's classes, and the name that this class has) if it
    knows classes, `image`, uint8 (height, width, 3), if it follows image embeddings. `number` is
    the image's number in its set.
    """

    seed: int
    prompt: str = ""
    label: int | None = None
    class_name: str | None = None
    number: int = 0
    image: np.ndarray | None = None


@dataclass(frozen=True)
class Sampled:
    """Images in the order of their requests.

    `pixels` are uint8 (n, height, width, 3); `unsafe`, bool (n,), the result of the pipeline's own
    safety checker, where it was asked.
    """

    pixels: np.ndarray
    unsafe: np.ndarray | None = None


class Sampler(Protocol):
    """An opened generator."""

    @property
    def knows_classes(self) -> bool:
        """False: what it draws has no label, so a judge must say what it is."""

    @property
    def needs_images(self) -> bool:
        """True: every request must bring the image that prompts it (unCLIP)."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of its images."""

    def __call__(self, requests: Sequence[Request]) -> Sampled:
        """Draw at most `compute_batch` images; a shorter batch is padded by the sampler."""


Draw = Callable[[Sequence[Request], "list[torch.Generator]"], np.ndarray]
"""Pixels, uint8 (n, height, width, 3), of a full batch, each with its generator on the CPU."""


@dataclass(frozen=True)
class BatchDrawer:
    """An opened pipeline's way to draw a full batch."""

    draw: Draw
    size_px: tuple[int, int]  # width and height
    knows_classes: bool
    needs_images: bool = False


def levels_of(autoencoder: AutoencoderModel) -> int:
    """How often the autoencoder halves the side of an image."""
    return len(autoencoder.config.block_out_channels) - 1

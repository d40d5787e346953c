"""What each family of pipelines has to say, so that one sampler can hold them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthgap.generation.checkpoints.foreign import AutoencoderModel
from synthgap.generation.samplers.requests import Request

if TYPE_CHECKING:
    import torch

Draw = Callable[[Sequence[Request], "list[torch.Generator]"], np.ndarray]
"""Pixels, uint8 (n, height, width, 3), of a full batch, each with its generator on the CPU."""


@dataclass(frozen=True)
class Drawing:
    """An opened pipeline's way to draw a full batch."""

    draw: Draw
    size_px: tuple[int, int]  # width and height
    knows_classes: bool
    needs_images: bool = False


def levels_of(autoencoder: AutoencoderModel) -> int:
    """How often the autoencoder halves the side of an image."""
    return len(autoencoder.config.block_out_channels) - 1

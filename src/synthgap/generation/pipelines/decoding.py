"""From latents to pixels: the autoencoder's own batch size, uint8 made on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthgap.errors import GeneratorError
from synthgap.generation.libraries import AutoencoderModel


@dataclass(frozen=True)
class LatentDecoder:
    """An autoencoder that decodes `batch` images a forward pass, the last pass padded."""

    autoencoder: AutoencoderModel
    batch: int

    @classmethod
    def of(cls, autoencoder: AutoencoderModel, batch: int) -> LatentDecoder:
        """A decoder in the autoencoder's precision, or in float32 where half would overflow."""
        half = autoencoder.dtype == torch.float16
        if half and getattr(autoencoder.config, "force_upcast", False):
            autoencoder = autoencoder.to(torch.float32)
        return cls(autoencoder, batch)

    def __call__(self, latents: Tensor) -> np.ndarray:
        """Images of latents (n, channels, height, width): uint8 (n, height, width, 3).

        Raises:
            GeneratorError: a value is not finite.
        """
        config = self.autoencoder.config
        latents = latents.to(self.autoencoder.dtype) / config.scaling_factor
        mean, std = (getattr(config, name, None) for name in ("latents_mean", "latents_std"))
        if mean is not None and std is not None:
            centre, spread = (
                torch.tensor(each).view(1, -1, 1, 1).to(latents) for each in (mean, std)
            )
            latents = latents * spread + centre
        pixels = [self._decoded(part) for part in torch.split(latents, self.batch)]
        return np.concatenate(pixels)

    def _decoded(self, part: Tensor) -> np.ndarray:
        count = len(part)
        padded = torch.cat([part, part[-1:].expand(self.batch - count, -1, -1, -1)])
        return as_pixels(self.autoencoder.decode(padded).sample[:count])


def as_pixels(images: Tensor) -> np.ndarray:
    """Images in [-1, 1], (n, 1 or 3, height, width), as uint8 (n, height, width, 3).

    Raises:
        GeneratorError: a value is not finite; it would become a black image.
    """
    if not torch.isfinite(images).all():
        raise GeneratorError(
            f"the generator drew values that are not finite in {images.dtype}; expected numbers, "
            "set runtime.precision to bf16 or fp32, or lower the guidance scale"
        )
    levels = ((images.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    coloured = levels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1)
    pixels: np.ndarray = coloured.contiguous().cpu().numpy()
    return pixels


def from_floats(images: Tensor | np.ndarray) -> np.ndarray:
    """Images in [0, 1] as a pipeline gives them, as uint8 RGB (n, height, width, 3).

    (n, channels, height, width) where it gives a tensor, (n, height, width, channels) else.

    Raises:
        GeneratorError: a value is not finite.
    """
    if not isinstance(images, Tensor):
        images = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return as_pixels(images.float() * 2 - 1)

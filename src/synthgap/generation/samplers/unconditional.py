"""Pipelines that are asked for nothing: DDPM and DDIM in pixels, LDM in latents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from synthgap.generation.checkpoints.foreign import Pipeline
from synthgap.generation.samplers.decoding import Decoder, as_pixels
from synthgap.generation.samplers.denoising import denoise, noise_of
from synthgap.generation.samplers.drawing import Drawing, levels_of
from synthgap.generation.samplers.requests import Request, Settings


def unconditional(
    pipeline: Pipeline,
    settings: Settings,
    classes: Sequence[str],  # noqa: ARG001 - it knows none
) -> Drawing:
    """Draw with a pipeline of one UNet, and perhaps an autoencoder; images come without labels."""
    network = pipeline.unet
    autoencoder = getattr(pipeline, "vqvae", None)
    finish = as_pixels if autoencoder is None else Decoder.of(autoencoder, settings.decode_batch)
    side = network.config.sample_size
    height, width = (side, side) if isinstance(side, int) else side
    shape = (network.config.in_channels, height, width)

    def predict(noisy: Tensor, timestep: Tensor) -> Tensor:
        predicted: Tensor = network(noisy, timestep).sample
        return predicted

    def draw(requests: Sequence[Request], generators: list[torch.Generator]) -> np.ndarray:
        assert len(requests) == len(generators)
        noise = noise_of(generators, shape, device=pipeline.device, dtype=network.dtype)
        return finish(denoise(pipeline.scheduler, predict, noise, generators, steps=settings.steps))

    larger = 1 if autoencoder is None else 2 ** levels_of(autoencoder)
    return Drawing(draw, (width * larger, height * larger), knows_classes=False)

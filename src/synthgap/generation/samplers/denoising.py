"""The denoising loop of pipelines whose own cannot be given one generator an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from synthgap.generation.checkpoints.foreign import Scheduler
from synthgap.generation.samplers.schedulers import is_stochastic, odd_arrays

Predict = Callable[[Tensor, Tensor], Tensor]
"""What the network predicts from noisy images (n, channels, height, width) and the timestep."""


def noise_of(
    generators: Sequence[torch.Generator],
    shape: tuple[int, ...],
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Noise of `shape` for each generator, drawn where the generators are (on the CPU)."""
    from diffusers.utils.torch_utils import randn_tensor

    drawn: Tensor = randn_tensor(
        (len(generators), *shape), generator=list(generators), device=device, dtype=dtype
    )
    return drawn


def denoise(
    scheduler: Scheduler,
    predict: Predict,
    noise: Tensor,
    generators: Sequence[torch.Generator],
    *,
    steps: int,
) -> Tensor:
    """Images or latents from noise, as diffusers' pipelines make them.

    A scheduler whose steps draw noise draws each image's from its own generator.
    """
    drawing: dict[str, Any] = {}
    if is_stochastic(scheduler):
        drawing = {"generator": list(generators)}
    with odd_arrays():
        scheduler.set_timesteps(steps, device=noise.device)
        images: Tensor = noise * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            predicted = predict(scheduler.scale_model_input(images, timestep), timestep)
            images = scheduler.step(predicted, timestep, images, **drawing).prev_sample
    return images

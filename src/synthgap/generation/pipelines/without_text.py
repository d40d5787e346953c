"""Pipelines without text: class-conditional (DiT), and unconditional in pixels or latents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthgap.errors import GeneratorError
from synthgap.generation.libraries import Pipeline, Scheduler
from synthgap.generation.pipelines.decoding import LatentDecoder, as_pixels
from synthgap.generation.pipelines.sampler import BatchDrawer, Request, SamplingSettings, levels_of
from synthgap.generation.pipelines.schedulers import is_stochastic, odd_arrays


def class_conditional(
    pipeline: Pipeline, settings: SamplingSettings, classes: Sequence[str]
) -> BatchDrawer:
    """Draw with a DiTPipeline; `classes` are the dataset's.

    Raises:
        GeneratorError: a class is not among the pipeline's.
    """
    network, decode = pipeline.transformer, LatentDecoder.of(pipeline.vae, settings.decode_batch)
    config = network.config
    numbers = class_numbers(pipeline.labels, config.num_embeds_ada_norm, classes)
    channels, side = config.in_channels, config.sample_size

    def draw(requests: Sequence[Request], generators: list[torch.Generator]) -> np.ndarray:
        asked = [numbers[0 if one.label is None else one.label] for one in requests]
        labels = torch.tensor(asked, device=pipeline.device)
        noise = noise_of(
            generators, (channels, side, side), device=pipeline.device, dtype=network.dtype
        )
        predict = _GuidedTransformer(pipeline, labels, settings.guidance_scale)
        return decode(denoise(pipeline.scheduler, predict, noise, generators, steps=settings.steps))

    pixels = side * 2 ** levels_of(pipeline.vae)
    return BatchDrawer(draw, (pixels, pixels), knows_classes=True)


class _GuidedTransformer:
    """The transformer's prediction for these labels, (n,), both branches in one batch."""

    def __init__(self, pipeline: Pipeline, labels: Tensor, scale: float) -> None:
        self.network, self.scale = pipeline.transformer, scale
        nothing = self.network.config.num_embeds_ada_norm
        both = [labels, torch.full_like(labels, nothing)]
        self.labels = torch.cat(both) if scale > 1 else labels

    def __call__(self, noisy: Tensor, timestep: Tensor) -> Tensor:
        channels = noisy.shape[1]
        inputs = torch.cat([noisy, noisy]) if self.scale > 1 else noisy
        times = timestep.to(inputs.device).expand(len(inputs))
        predicted: Tensor = self.network(inputs, timestep=times, class_labels=self.labels).sample
        predicted = predicted[:, :channels]  # beyond them lie learned variances
        if self.scale > 1:
            conditional, free = predicted.chunk(2)
            predicted = free + self.scale * (conditional - free)
        return predicted


def class_numbers(names: Mapping[str, int], num_classes: int, classes: Sequence[str]) -> list[int]:
    """The pipeline's number of each of the dataset's classes.

    By name, where the pipeline has names (its synonyms count, case and underscores do not); else
    by the number that is a class's name; else by position, if both have as many classes.

    Raises:
        GeneratorError: a class cannot be found.
    """
    named = {_plain(name): number for name, number in names.items()}
    found = {name: named.get(_plain(name)) for name in classes}
    if None not in found.values():
        return [number for number in found.values() if number is not None]
    if all(name.isdecimal() and int(name) < num_classes for name in classes) and not named:
        return [int(name) for name in classes]
    if len(classes) == (len(set(named.values())) or num_classes):
        return list(range(len(classes)))
    lost = [name for name, number in found.items() if number is None]
    there = f"one of its {len(named)} names ({', '.join(list(names)[:5])}, ...)"
    if not named:
        there = f"a number below {num_classes}, since it has no names"
    raise GeneratorError(
        f"class {lost[0]!r} and {len(lost) - 1} more: unknown to the generator; expected {there}, "
        f"or exactly its classes in its order; rename the class folders"
    )


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


Predict = Callable[[Tensor, Tensor], Tensor]
"""What the network predicts from noisy images (n, channels, height, width) and the timestep."""


def noise_of(
    generators: Sequence[torch.Generator],
    shape: tuple[int, ...],
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Noise of `shape` for each generator, drawn where the generators are (on the CPU).

    Returns (num_generators, *shape).
    """
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

    `noise` and the result: (batch, channels, height, width).
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


def unconditional(
    pipeline: Pipeline,
    settings: SamplingSettings,
    classes: Sequence[str],  # noqa: ARG001 - it knows none
) -> BatchDrawer:
    """Draw with a pipeline of one UNet, and perhaps an autoencoder; images come without labels."""
    network = pipeline.unet
    autoencoder = getattr(pipeline, "vqvae", None)
    finish = (
        as_pixels if autoencoder is None else LatentDecoder.of(autoencoder, settings.decode_batch)
    )
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
    return BatchDrawer(draw, (width * larger, height * larger), knows_classes=False)

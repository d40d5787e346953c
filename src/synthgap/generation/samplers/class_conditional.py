"""Pipelines that draw a class by its number: the diffusion transformer, DiT.

Peebles and Xie 2023. diffusers' own call draws a scheduler's noise from torch's global state and
takes class 1000 for none; here both are the pipeline's own business, else the two agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from synthgap.errors import GeneratorError
from synthgap.generation.checkpoints.foreign import Pipeline
from synthgap.generation.samplers.decoding import Decoder
from synthgap.generation.samplers.denoising import denoise, noise_of
from synthgap.generation.samplers.drawing import Drawing, levels_of
from synthgap.generation.samplers.requests import Request, Settings


def class_conditional(pipeline: Pipeline, settings: Settings, classes: Sequence[str]) -> Drawing:
    """Draw with a DiTPipeline; `classes` are the dataset's.

    Raises:
        GeneratorError: a class is not among the pipeline's.
    """
    network, decode = pipeline.transformer, Decoder.of(pipeline.vae, settings.decode_batch)
    config = network.config
    numbers = class_numbers(pipeline.labels, config.num_embeds_ada_norm, classes)
    channels, side = config.in_channels, config.sample_size

    def draw(requests: Sequence[Request], generators: list[torch.Generator]) -> np.ndarray:
        asked = [numbers[0 if one.label is None else one.label] for one in requests]
        labels = torch.tensor(asked, device=pipeline.device)
        noise = noise_of(
            generators, (channels, side, side), device=pipeline.device, dtype=network.dtype
        )
        predict = _Guided(pipeline, labels, settings.guidance_scale)
        return decode(denoise(pipeline.scheduler, predict, noise, generators, steps=settings.steps))

    pixels = side * 2 ** levels_of(pipeline.vae)
    return Drawing(draw, (pixels, pixels), knows_classes=True)


class _Guided:
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


def class_numbers(known: Mapping[str, int], num_classes: int, classes: Sequence[str]) -> list[int]:
    """The pipeline's number of each of the dataset's classes.

    By name, where the pipeline has names (its synonyms count, case and underscores do not); else
    by the number that is a class's name; else by position, if both have as many classes.

    Raises:
        GeneratorError: a class cannot be found.
    """
    named = {_plain(name): number for name, number in known.items()}
    found = {name: named.get(_plain(name)) for name in classes}
    if None not in found.values():
        return [number for number in found.values() if number is not None]
    if all(name.isdecimal() and int(name) < num_classes for name in classes) and not named:
        return [int(name) for name in classes]
    if len(classes) == (len(set(named.values())) or num_classes):
        return list(range(len(classes)))
    lost = [name for name, number in found.items() if number is None]
    there = f"one of its {len(named)} names ({', '.join(list(known)[:5])}, ...)"
    if not named:
        there = f"a number below {num_classes}, since it has no names"
    raise GeneratorError(
        f"class {lost[0]!r} and {len(lost) - 1} more: unknown to the generator; expected {there}, "
        f"or exactly its classes in its order; rename the class folders"
    )


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())

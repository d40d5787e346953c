"""Pipelines that read text: Stable Diffusion 1.x, 2.x and XL, and whatever else takes a prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from synthgap.errors import GeneratorError, ParamsError
from synthgap.generation.libraries import Pipeline
from synthgap.generation.pipelines.decoding import LatentDecoder, from_floats
from synthgap.generation.pipelines.sampler import BatchDrawer, Request, SamplingSettings
from synthgap.generation.pipelines.schedulers import odd_arrays

MOST_BYTES = 1 << 30  # of kept embeddings
TEXT = ("prompt_embeds",)
TEXT_AND_POOLED = ("prompt_embeds", "pooled_prompt_embeds")

Embed = Callable[[list[str]], tuple[Tensor, ...]]
Extra = Callable[[Sequence[Request]], dict[str, Any]]


class Embeddings:
    """Embeddings of prompts, each computed once, always `batch` prompts a forward pass.

    So an embedding does not depend on what else is asked. The oldest go when they fill memory.
    """

    def __init__(self, embed: Embed, batch: int) -> None:
        self.embed, self.batch = embed, batch
        self._kept: dict[str, tuple[Tensor, ...]] = {}

    def __call__(self, prompts: Sequence[str]) -> tuple[Tensor, ...]:
        """The text encoders' embeddings of each prompt: tensors of (num_prompts, ...)."""
        wanted = list(dict.fromkeys(prompts))
        missing = [prompt for prompt in wanted if prompt not in self._kept]
        found = {prompt: self._kept[prompt] for prompt in wanted if prompt in self._kept}
        for start in range(0, len(missing), self.batch):
            part = missing[start : start + self.batch]
            encoded = self.embed([*part, *[part[-1]] * (self.batch - len(part))])
            for row, prompt in enumerate(part):
                found[prompt] = tuple(each[row].clone() for each in encoded)
        self._keep(found)
        each = [found[prompt] for prompt in prompts]
        return tuple(torch.stack(column) for column in zip(*each, strict=True))

    def _keep(self, found: dict[str, tuple[Tensor, ...]]) -> None:
        self._kept.update(found)
        size = sum(each.nbytes for each in next(iter(found.values())))
        while len(self._kept) * size > MOST_BYTES:
            del self._kept[next(iter(self._kept))]


def stable_diffusion(
    pipeline: Pipeline,
    settings: SamplingSettings,
    classes: Sequence[str],  # noqa: ARG001 - prompts say it
) -> BatchDrawer:
    """Draw with Stable Diffusion 1.x or 2.x.

    Raises:
        ParamsError: the size does not suit the networks.
    """
    return drawn_from_text(pipeline, settings, prompt_arguments(pipeline, settings))


def stable_diffusion_xl(
    pipeline: Pipeline,
    settings: SamplingSettings,
    classes: Sequence[str],  # noqa: ARG001 - prompts say it
) -> BatchDrawer:
    """Draw with Stable Diffusion XL; without a negative prompt guidance starts from zeros.

    Raises:
        ParamsError: the size does not suit the networks.
    """

    def embed(prompts: list[str]) -> tuple[Tensor, ...]:
        text, _, pooled, _ = pipeline.encode_prompt(
            prompts, device=pipeline.device, do_classifier_free_guidance=False
        )
        return text, pooled

    embeddings = Embeddings(embed, settings.compute_batch)
    zeros = not settings.negative_prompt and pipeline.config.force_zeros_for_empty_prompt

    def arguments_of(requests: Sequence[Request]) -> dict[str, Any]:
        words = embeddings([one.prompt for one in requests])
        given = dict(zip(TEXT_AND_POOLED, words, strict=True))
        if settings.guidance_scale > 1:
            against = embeddings([settings.negative_prompt] * len(requests))
            against = tuple(each * 0 for each in against) if zeros else against
            pairs = zip(TEXT_AND_POOLED, against, strict=True)
            given |= {f"negative_{name}": each for name, each in pairs}
        return given

    return drawn_from_text(pipeline, settings, arguments_of)


def prompt_arguments(pipeline: Pipeline, settings: SamplingSettings) -> Extra:
    """A function from requests to a Stable Diffusion pipeline's arguments: prompt embeddings."""

    def embed(prompts: list[str]) -> tuple[Tensor, ...]:
        return (
            pipeline.encode_prompt(
                prompts, pipeline.device, num_images_per_prompt=1, do_classifier_free_guidance=False
            )[0],
        )

    embeddings = Embeddings(embed, settings.compute_batch)

    def arguments_of(requests: Sequence[Request]) -> dict[str, Any]:
        given = dict(zip(TEXT, embeddings([one.prompt for one in requests]), strict=True))
        if settings.guidance_scale > 1:
            against = embeddings([settings.negative_prompt] * len(requests))
            given["negative_prompt_embeds"] = against[0]
        return given

    return arguments_of


def drawn_from_text(
    pipeline: Pipeline, settings: SamplingSettings, arguments_of: Extra
) -> BatchDrawer:
    """Draw with the pipeline's own loop, given `arguments_of` the requests.

    Raises:
        ParamsError: the size does not suit the networks.
    """
    width, height = _size(pipeline, settings)
    decode = LatentDecoder.of(pipeline.vae, settings.decode_batch)

    def draw(requests: Sequence[Request], generators: list[torch.Generator]) -> np.ndarray:
        with odd_arrays():
            latents = pipeline(
                **arguments_of(requests),
                generator=generators,
                guidance_scale=settings.guidance_scale,
                num_inference_steps=settings.steps,
                width=width,
                height=height,
                output_type="latent",
            ).images
        return decode(latents)

    return BatchDrawer(draw, (width, height), knows_classes=True)


def any_with_prompt(
    pipeline: Pipeline,
    settings: SamplingSettings,
    classes: Sequence[str],  # noqa: ARG001 - prompts say it
) -> BatchDrawer:
    """Draw with any other pipeline whose call takes `prompt` and `generator`.

    Raises:
        GeneratorError: its call does not take them, or refuses what it is given.
    """
    taken = signature(pipeline.__call__).parameters
    if not {"prompt", "generator"} <= set(taken):
        raise GeneratorError(
            f"{type(pipeline).__name__}: cannot be asked for images of classes; expected a "
            "pipeline whose call takes `prompt` and `generator`, or a DiT, DDPM, DDIM or LDM one"
        )
    size = _size(pipeline, settings)
    wishes = _wishes(settings, size)
    given = {name: value for name, value in wishes.items() if name in taken}

    def draw(requests: Sequence[Request], generators: list[torch.Generator]) -> np.ndarray:
        prompts = [one.prompt for one in requests]
        try:
            with odd_arrays():
                images = pipeline(prompt=prompts, generator=generators, **given).images
        except (ValueError, TypeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise GeneratorError(
                f"{type(pipeline).__name__}: refuses what it is asked ({reason}); expected "
                "settings that suit it, see section synthesize of params.yaml"
            ) from error
        return from_floats(images)

    return BatchDrawer(draw, size, knows_classes=True)


def _wishes(settings: SamplingSettings, size: tuple[int, int]) -> dict[str, Any]:
    """All that a pipeline's call may know how to take beside prompt and generator."""
    wishes: dict[str, Any] = {
        "guidance_scale": settings.guidance_scale,
        "num_inference_steps": settings.steps,
        "width": size[0],
        "height": size[1],
        "output_type": "pt",
    }
    if settings.negative_prompt:
        wishes["negative_prompt"] = [settings.negative_prompt] * settings.compute_batch
    return wishes


def _size(pipeline: Pipeline, settings: SamplingSettings) -> tuple[int, int]:
    """Width and height in pixels."""
    factor = getattr(pipeline, "vae_scale_factor", 8)
    sizes = []
    for axis, name in ((1, "width"), (0, "height")):
        size = getattr(settings, name) or factor * _native(pipeline, axis)
        if size % 8:
            raise ParamsError(
                f"params.yaml, synthesize.{name}: {size}, expected a multiple of 8 px"
            )
        sizes.append(size)
    return sizes[0], sizes[1]


def _native(pipeline: Pipeline, axis: int) -> int:
    network = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    side = network.config.sample_size if network is not None else None
    if side is None:
        raise ParamsError(
            "params.yaml, synthesize.width and height: null, but the pipeline has no size of its "
            "own; expected numbers of pixels"
        )
    return int(side if isinstance(side, int) else side[axis])


def prompted_by_images(
    pipeline: Pipeline,
    settings: SamplingSettings,
    classes: Sequence[str],  # noqa: ARG001 - images say it
) -> BatchDrawer:
    """Draw with a StableUnCLIPImg2ImgPipeline: every request brings an image.

    Raises:
        ParamsError: the size does not suit the networks.
    """
    words = prompt_arguments(pipeline, settings)

    def arguments_of(requests: Sequence[Request]) -> dict[str, Any]:
        pictures = [Image.fromarray(one.image) for one in requests if one.image is not None]
        if len(pictures) != len(requests):
            raise GeneratorError(
                "StableUnCLIPImg2ImgPipeline: prompted by images, but a request brings none; use "
                "it in stage `oracle` (oracle.pin), or pin a text-to-image pipeline as generator"
            )
        return {**words(requests), "image": pictures, "noise_level": settings.noise_level}

    return replace(drawn_from_text(pipeline, settings, arguments_of), needs_images=True)

"""Pipelines that are prompted by images: Stable unCLIP follows their CLIP embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PIL import Image

from synthgap.errors import GeneratorError
from synthgap.generation.checkpoints.foreign import Pipeline
from synthgap.generation.samplers.drawing import Drawing
from synthgap.generation.samplers.requests import Request, Settings
from synthgap.generation.samplers.text_to_image import drawn_from_text, told_by


def prompted_by_images(
    pipeline: Pipeline,
    settings: Settings,
    classes: Sequence[str],  # noqa: ARG001 - images say it
) -> Drawing:
    """Draw with a StableUnCLIPImg2ImgPipeline: every request brings an image.

    Raises:
        ParamsError: the size does not suit the networks.
    """
    words = told_by(pipeline, settings)

    def told(requests: Sequence[Request]) -> dict[str, Any]:
        shown = [Image.fromarray(one.image) for one in requests if one.image is not None]
        if len(shown) != len(requests):
            raise GeneratorError(
                "StableUnCLIPImg2ImgPipeline: prompted by images, but a request brings none; use "
                "it in stage `oracle` (oracle.pin), or pin a text-to-image pipeline as generator"
            )
        return {**words(requests), "image": shown, "noise_level": settings.noise_level}

    return replace(drawn_from_text(pipeline, settings, told), needs_images=True)

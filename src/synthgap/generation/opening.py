"""Open a pipeline folder and sample it: ours and Stable Diffusion 1.4 go the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from synthgap.artifacts import read_json
from synthgap.errors import GeneratorError
from synthgap.generation.foreign import Pipeline
from synthgap.generation.machine import device_of
from synthgap.generation.provenance import INDEX
from synthgap.generation.saving import quiet
from synthgap.params.sections import Runtime

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Settings:
    """How images are sampled; `batch` is the size of every forward pass, which guidance doubles.

    With a `noise_level` the prompts are images: it is that of their embeddings' noise (unCLIP).
    """

    negative_prompt: str
    guidance_scale: float
    steps: int
    width: int
    height: int
    batch: int
    noise_level: int | None = None


@dataclass(frozen=True)
class Request:
    """One image: what is asked for, and the seed of its noise."""

    prompt: str
    seed: int
    image: np.ndarray | None = None  # uint8 (height, width, 3), with a noise level


def open_pipeline(folder: Path, runtime: Runtime, stage: str = "generator") -> Pipeline:
    """Open a diffusers folder without network, pickles or foreign code, on the asked device.

    Raises:
        GeneratorError: diffusers cannot open it.
    """
    from diffusers import DiffusionPipeline

    quiet("diffusers", "transformers")
    options: dict[str, Any] = {}
    if "safety_checker" in read_json(folder / INDEX):
        options = {"safety_checker": None, "requires_safety_checker": False}
    try:
        pipeline = DiffusionPipeline.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=DTYPES[runtime.precision],
            **options,
        )
    except (OSError, ValueError, TypeError, AttributeError, ImportError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise GeneratorError(
            f"{folder}: diffusers cannot open it ({reason}); expected a whole pipeline folder, "
            f"rerun `dvc repro {stage}`"
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device_of(runtime))


def sample(pipeline: Pipeline, requests: Sequence[Request], settings: Settings) -> np.ndarray:
    """Images as uint8 (num_requests, height, width, 3); each depends on its own request alone.

    Noise is drawn on the CPU from the request's seed, whatever the guidance scale. The batch is
    always full, since another batch size rounds differently in the last bit.
    """
    assert 0 < len(requests) <= settings.batch
    full = [*requests, *[requests[-1]] * (settings.batch - len(requests))]
    shown: dict[str, Any] = {}
    if settings.noise_level is not None:
        prompts = [Image.fromarray(request.image) for request in full if request.image is not None]
        shown = {"image": prompts, "noise_level": settings.noise_level}
    images = pipeline(
        prompt=[request.prompt for request in full],
        negative_prompt=[settings.negative_prompt] * len(full),
        generator=[torch.Generator().manual_seed(request.seed) for request in full],
        guidance_scale=settings.guidance_scale,
        num_inference_steps=settings.steps,
        width=settings.width,
        height=settings.height,
        output_type="np",
        **shown,
    ).images
    pixels: np.ndarray = (images[: len(requests)] * 255).round().astype(np.uint8)
    return pixels

"""Open a pipeline folder and sample it: ours and Stable Diffusion 1.4 go the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthgap.artifacts import read_json
from synthgap.errors import GeneratorError
from synthgap.generation.foreign import Pipeline
from synthgap.generation.machine import device_of
from synthgap.generation.networks import quiet
from synthgap.generation.provenance import INDEX
from synthgap.params.sections import Runtime

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Settings:
    """How images are sampled; `batch` is the size of every forward pass, which guidance doubles."""

    negative_prompt: str
    guidance_scale: float
    steps: int
    width: int
    height: int
    batch: int


@dataclass(frozen=True)
class Request:
    """One image: what is asked for, and the seed of its noise."""

    prompt: str
    seed: int


def open_pipeline(folder: Path, runtime: Runtime) -> Pipeline:
    """Open a diffusers folder without network, pickles or foreign code, on the asked device.

    Raises:
        GeneratorError: diffusers cannot open it.
    """
    from diffusers import DiffusionPipeline

    quiet()
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
            "rerun `dvc repro generator`"
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
    images = pipeline(
        prompt=[request.prompt for request in full],
        negative_prompt=[settings.negative_prompt] * len(full),
        generator=[torch.Generator().manual_seed(request.seed) for request in full],
        guidance_scale=settings.guidance_scale,
        num_inference_steps=settings.steps,
        width=settings.width,
        height=settings.height,
        output_type="np",
    ).images
    pixels: np.ndarray = (images[: len(requests)] * 255).round().astype(np.uint8)
    return pixels

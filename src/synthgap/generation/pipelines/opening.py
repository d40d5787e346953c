"""A pipeline's own safety checker, asked about whole batches; it blackens nothing here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from synthgap.errors import GeneratorError
from synthgap.generation.libraries import AutoencoderModel, Pipeline, quiet
from synthgap.generation.pipelines.image_folder import FolderSampler
from synthgap.generation.pipelines.provenance import (
    CHECKER,
    INDEX,
    PROVENANCE,
    pipeline_class,
)
from synthgap.generation.pipelines.sampler import (
    BatchDrawer,
    Request,
    Sampled,
    Sampler,
    SamplingSettings,
)
from synthgap.generation.pipelines.schedulers import exchange_scheduler
from synthgap.generation.pipelines.text_to_image import (
    any_with_prompt,
    prompted_by_images,
    stable_diffusion,
    stable_diffusion_xl,
)
from synthgap.generation.pipelines.without_text import class_conditional, unconditional
from synthgap.generation.prompts.tokenizer import check_prompts
from synthgap.jobs import read_json
from synthgap.jobs.device import device_of
from synthgap.jobs.progress import log_line
from synthgap.params.sections import Runtime

Check = Callable[[np.ndarray], np.ndarray]
"""Whether each image, uint8 (n, height, width, 3), is unsafe: bool (n,)."""


def taken_checker(pipeline: Pipeline, folder: Path, *, wanted: bool) -> Check | None:
    """Take the safety checker out of the pipeline, which would blacken images, if it is wanted.

    Raises:
        GeneratorError: it is wanted, and the pipeline has none.
    """
    checker = getattr(pipeline, CHECKER, None)
    if checker is not None:
        pipeline.safety_checker = None
    if not wanted:
        return None
    extractor = getattr(pipeline, "feature_extractor", None)
    if checker is None or extractor is None:
        raise GeneratorError(
            f"{folder}: has no {CHECKER} or no feature_extractor; expected both, since "
            "synthesize.filters.safety is true; pin a pipeline with them or set it to false"
        )

    def check(pixels: np.ndarray) -> np.ndarray:
        features = extractor([Image.fromarray(image) for image in pixels], return_tensors="pt")
        pixel_values = features.pixel_values.to(pipeline.device, checker.dtype)
        canvas = np.zeros((len(pixels), 1, 1, 3), dtype=np.float32)  # what it would blacken
        with torch.no_grad():
            _, unsafe = checker(images=canvas, clip_input=pixel_values)
        return np.asarray(unsafe, dtype=bool)

    return check


__all__ = [
    "FAMILIES",
    "Request",
    "Sampled",
    "Sampler",
    "SamplingSettings",
    "open_pipeline",
    "open_sampler",
]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PLACE = "params.yaml, synthesize.scheme"

FAMILIES: Mapping[str, Callable[[Pipeline, SamplingSettings, Sequence[str]], BatchDrawer]] = {
    "StableDiffusionPipeline": stable_diffusion,
    "StableDiffusionXLPipeline": stable_diffusion_xl,
    "StableUnCLIPImg2ImgPipeline": prompted_by_images,
    "DiTPipeline": class_conditional,
    "DDPMPipeline": unconditional,
    "DDIMPipeline": unconditional,
    "LDMPipeline": unconditional,
}
"""By the class that model_index.json names; all others are asked by `prompt`."""


def open_sampler(
    folder: Path,
    settings: SamplingSettings,
    runtime: Runtime,
    *,
    classes: Sequence[str],
    prompts: Sequence[str],
) -> Sampler:
    """Open the pipeline, or the samples, in `folder`.

    `classes` are the dataset's, in the order of labels; `prompts` those that will be sent, which
    are held against the tokenizer.

    Raises:
        GeneratorError: it cannot be opened, lacks a class, a word or a safety checker, or does not
            go with the scheduler; or prompts are cut that it was trained here to read whole.
        ParamsError: the size does not suit it.
    """
    if not (folder / INDEX).is_file():
        return FolderSampler.open(folder, settings, classes)
    pipeline = open_pipeline(folder, runtime, safety=settings.safety)
    check = taken_checker(pipeline, folder, wanted=settings.safety)
    exchange_scheduler(pipeline, settings.scheduler)
    _check(pipeline, folder, prompts)
    drawing = FAMILIES.get(pipeline_class(folder), any_with_prompt)(pipeline, settings, classes)
    _hasten(pipeline, runtime)
    return _Padded(drawing, settings.compute_batch, check)


@dataclass(frozen=True)
class _Padded:
    """A sampler whose every batch is full."""

    drawing: BatchDrawer
    batch: int
    check: Check | None

    @property
    def knows_classes(self) -> bool:
        return self.drawing.knows_classes

    @property
    def needs_images(self) -> bool:
        return self.drawing.needs_images

    @property
    def size_px(self) -> tuple[int, int]:
        return self.drawing.size_px

    def __call__(self, requests: Sequence[Request]) -> Sampled:
        """Draw at most a batch; noise comes from the requests' seeds, on the CPU."""
        assert 0 < len(requests) <= self.batch
        full = [*requests, *[requests[-1]] * (self.batch - len(requests))]
        generators = [torch.Generator().manual_seed(request.seed) for request in full]
        with torch.no_grad(), _own_noise():
            pixels = self.drawing.draw(full, generators)
        width, height = self.size_px
        if pixels.shape != (self.batch, height, width, 3):
            raise GeneratorError(
                f"the pipeline drew {pixels.shape[2]}x{pixels.shape[1]} px, expected "
                f"{width}x{height} px; set synthesize.width and height to what it draws"
            )
        unsafe = None if self.check is None else self.check(pixels)[: len(requests)]
        return Sampled(pixels[: len(requests)], unsafe)


@contextmanager
def _own_noise() -> Iterator[None]:
    """Refuse noise from torch's global state: it would differ with the images drawn before."""
    before = torch.get_rng_state()
    yield
    if not torch.equal(before, torch.get_rng_state()):
        raise GeneratorError(
            "the pipeline draws noise in its steps without asking the images' own generators, so "
            "no image could be made again; expected a scheduler that draws none, set "
            "synthesize.scheduler, e.g. to ddim"
        )


def open_pipeline(
    folder: Path, runtime: Runtime, stage: str = "generator", *, safety: bool = False
) -> Pipeline:
    """Open a diffusers folder without network, pickles or foreign code, on the asked device.

    Without `safety` its safety checker is left out.

    Raises:
        GeneratorError: diffusers cannot open it.
    """
    from diffusers import DiffusionPipeline

    quiet("diffusers", "transformers")
    options: dict[str, Any] = {}
    if CHECKER in read_json(folder / INDEX) and not safety:
        options = {CHECKER: None, "requires_safety_checker": False}
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


def open_autoencoder(folder: Path) -> AutoencoderModel:
    """The autoencoder of the pipeline in `folder`, in float32 on the CPU.

    Raises:
        GeneratorError: the pipeline has no AutoencoderKL.
    """
    from diffusers import AutoencoderKL

    quiet("diffusers")
    try:
        return AutoencoderKL.from_pretrained(
            folder / "vae", local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise GeneratorError(
            f"{folder / 'vae'}: no autoencoder ({error}); expected a latent diffusion pipeline"
        ) from error


def _hasten(pipeline: Pipeline, runtime: Runtime) -> None:
    """Lay images out as convolutions want them on a GPU, and compile what runs every step."""
    networks = [getattr(pipeline, name, None) for name in ("unet", "transformer")]
    decoders = [getattr(pipeline, name, None) for name in ("vae", "vqvae")]
    for network in (one for one in (*networks, *decoders) if one is not None):
        if device_of(runtime).type == "cuda":
            network.to(memory_format=torch.channels_last)
    for network in (one for one in networks if one is not None and runtime.compile):
        network.compile(dynamic=False)


def _check(pipeline: Pipeline, folder: Path, prompts: Sequence[str]) -> None:
    """Hold the prompts against the tokenizer, where there is one.

    A generator that was trained here has read its captions whole.
    """
    tokenizer = getattr(pipeline, "tokenizer", None)
    distinct = [prompt for prompt in dict.fromkeys(prompts) if prompt]
    if tokenizer is None or not distinct:
        return
    cut = check_prompts(tokenizer, distinct, place=PLACE)
    if cut and _trained_here(folder):
        raise GeneratorError(
            f"{PLACE}: {cut[0]!r} has more words than this generator was trained on; expected at "
            f"most {tokenizer.model_max_length - 2}, as in generator.denoiser.captions"
        )
    if cut:
        log_line(
            f"synthesize: the text encoder cuts {len(cut)} long prompts short, first {cut[0]!r}"
        )


def _trained_here(folder: Path) -> bool:
    path = folder / PROVENANCE
    return path.is_file() and read_json(path).get("classes") is not None

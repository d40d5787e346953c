"""Stage `synthesize`: a synthetic image set, image by image, resumed with what is there."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synthgap.artifacts import Artifacts, environment, file_digest, hold, write_json
from synthgap.data.image_set import ImageSet, square, write_manifest, write_png
from synthgap.errors import GeneratorError, ParamsError
from synthgap.generation.foreign import Pipeline
from synthgap.generation.generator import code_digest
from synthgap.generation.prompts import check_prompts, fill
from synthgap.generation.provenance import Provenance, locate, scheduler_name
from synthgap.params.reading import section_dict
from synthgap.params.sections import Data, Runtime, Synthesize
from synthgap.seeding import derived_seed

if TYPE_CHECKING:
    from synthgap.generation.opening import Settings

LOCK_TIMEOUT_S = 3600.0
FINISHED = "finished"


@dataclass(frozen=True)
class SynthesizeParams:
    """What stage `synthesize` reads of params.yaml; of `runtime` only device and precision."""

    seed: int
    runtime: Runtime
    data: Data
    synthesize: Synthesize


@dataclass(frozen=True)
class Picture:
    """One image that the set shall hold; `path` is relative to the set."""

    label: int
    class_name: str
    prompt: str
    seed: int
    path: str


@dataclass(frozen=True)
class _Set:
    params: SynthesizeParams
    guidance_scale: float
    generator: Provenance
    pipeline: Path
    classes: tuple[str, ...]
    pictures: list[Picture]

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height as stored."""
        data, sampled = self.params.data, self.params.synthesize
        if data.encoding == "png":
            return data.image_size, data.image_size
        return sampled.width, sampled.height


def synthesize(params: SynthesizeParams, artifacts: Artifacts, *, guidance_scale: float) -> None:
    """Sample the set of one guidance scale, with the classes and counts of image set `train`.

    Image k depends on the seed and k alone, so a longer set begins with the images of a shorter
    one, and equal k have equal noise at every guidance scale.

    Raises:
        GeneratorError: the pipeline is missing or changed, or was not made for these prompts.
        ParamsError: the size does not suit diffusers.
        DataError: `train` is missing.
        WorkError: another process is still making the set.
    """
    from synthgap.generation.machine import torch_threads

    _check_size(params.synthesize)
    train = ImageSet.read(artifacts.image_set("train"))
    generator = Provenance.read(artifacts)
    wanted = _Set(
        params=params,
        guidance_scale=guidance_scale,
        generator=generator,
        pipeline=locate(generator, artifacts),
        classes=train.classes,
        pictures=plan(params, train.classes, train.labels),
    )
    output = artifacts.image_set(artifacts.synthetic(guidance_scale))
    with (
        hold(artifacts.work, _identity(wanted, train), output, timeout_s=LOCK_TIMEOUT_S) as work,
        torch_threads(params.synthesize.threads),
    ):
        if work.finished:
            return
        started = time.time()
        _sample_missing(wanted, work.folder)
        _assemble(wanted, work.folder)
        times = {"name": output.name, "start": started, "end": time.time()}
        write_json(artifacts.times / "sampling" / f"{artifacts.recipe}-{output.name}.json", times)
        work.publish(work.folder / FINISHED)


def plan(params: SynthesizeParams, classes: Sequence[str], labels: np.ndarray) -> list[Picture]:
    """Every picture of the set, ordered by k: the i-th of class c is number i x num_classes + c."""
    section = params.synthesize
    counts = Counter(labels.tolist())
    if section.per_class != "as_train":
        counts = Counter(dict.fromkeys(range(len(classes)), section.per_class))
    pictures = []
    for index in range(max(counts.values(), default=0)):
        for label, name in enumerate(classes):
            if index < counts[label]:
                number = index * len(classes) + label
                pictures.append(
                    Picture(
                        label=label,
                        class_name=name,
                        prompt=fill(section.prompt, name),
                        seed=derived_seed(params.seed, "synthesize", number),
                        path=f"{name}/{index:05d}.png",
                    )
                )
    return pictures


def _identity(wanted: _Set, train: ImageSet) -> dict[str, Any]:
    """All that determines the set's bytes; of `train` only classes and counts."""
    from synthgap.generation.machine import device_name

    params, threads = wanted.params, wanted.params.synthesize.threads
    return {
        "stage": "synthesize",
        "generator": wanted.generator.sha256,
        "classes": list(train.classes),
        "counts": np.bincount(train.labels, minlength=len(train.classes)).tolist(),
        "guidance_scale": wanted.guidance_scale,
        "seed": params.seed,
        "precision": params.runtime.precision,
        "stored": [params.data.encoding, *wanted.size_px],
        "synthesize": section_dict(params.synthesize),
        "environment": environment(threads=threads, device=device_name(params.runtime)),
        "code": code_digest(),
    }


def _sample_missing(wanted: _Set, images: Path) -> None:
    from synthgap.generation.progress import Progress, tell

    missing = [one for one in wanted.pictures if not _intact(images / one.path, wanted.size_px)]
    there = len(wanted.pictures) - len(missing)
    name = f"synthesize g{wanted.guidance_scale}"
    if there:
        tell(f"{name}: {there} of {len(wanted.pictures)} images are there from before")
    if not missing:
        return
    pipeline = _opened(wanted)
    progress = Progress(name, len(wanted.pictures), "images", done=there)
    for part in _batches(missing, wanted.params.synthesize.compute_batch):
        _sample(part, wanted, pipeline, images)
        progress.advance(len(part))


def _opened(wanted: _Set) -> Pipeline:
    from synthgap.generation.opening import open_pipeline
    from synthgap.generation.progress import tell

    pipeline = open_pipeline(wanted.pipeline, wanted.params.runtime)
    prompts = list(dict.fromkeys(one.prompt for one in wanted.pictures))
    place = "params.yaml, synthesize.prompt"
    cut = check_prompts(pipeline.tokenizer, prompts, place=place)
    if cut and wanted.generator.classes is not None:
        raise GeneratorError(
            f"{place}: {cut[0]!r} has more words than this generator was trained on; expected "
            f"at most {pipeline.tokenizer.model_max_length - 2}, as in generator.denoiser.caption"
        )
    if cut:
        tell(f"synthesize: the text encoder cuts {len(cut)} long prompts short, first {cut[0]!r}")
    return pipeline


def _sample(part: list[Picture], wanted: _Set, pipeline: Pipeline, images: Path) -> None:
    from synthgap.generation.opening import Request, sample

    requests = [Request(one.prompt, one.seed) for one in part]
    pixels = sample(pipeline, requests, _settings(wanted))
    for one, sampled in zip(part, pixels, strict=True):
        stored = Image.fromarray(sampled)
        if wanted.params.data.encoding == "png":
            stored = square(stored, wanted.params.data.image_size)
        write_png(images / one.path, np.asarray(stored))


def _settings(wanted: _Set) -> Settings:
    from synthgap.generation.opening import Settings

    section = wanted.params.synthesize
    return Settings(
        negative_prompt=section.negative_prompt,
        guidance_scale=wanted.guidance_scale,
        steps=section.steps,
        width=section.width,
        height=section.height,
        batch=section.compute_batch,
    )


def _assemble(wanted: _Set, images: Path) -> None:
    """Move exactly the set's images into one folder and describe them; leave all else behind."""
    finished = images / FINISHED
    shutil.rmtree(finished, ignore_errors=True)
    pictures = sorted(wanted.pictures, key=lambda one: (one.label, one.path))
    for one in pictures:
        target = finished / one.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(images / one.path)
    width, height = wanted.size_px
    count = len(pictures)
    columns: dict[str, list[Any]] = {
        "path": [one.path for one in pictures],
        "label": [one.label for one in pictures],
        "class_name": [one.class_name for one in pictures],
        "prompt": [one.prompt for one in pictures],
        "seed": [one.seed for one in pictures],
        "guidance_scale": [wanted.guidance_scale] * count,
        "steps": [wanted.params.synthesize.steps] * count,
        "scheduler": [scheduler_name(wanted.pipeline)] * count,
        "generator_digest": [wanted.generator.sha256] * count,
        "sha256": [file_digest(finished / one.path) for one in pictures],
        "width": [width] * count,
        "height": [height] * count,
    }
    about = {"generator_real_labels": wanted.generator.real_labels}
    write_manifest(finished, kind="synthetic", classes=wanted.classes, columns=columns, about=about)


def _intact(path: Path, size_px: tuple[int, int]) -> bool:
    """Whether a finished image of the right size lies there; a damaged one is made again."""
    if not path.is_file():
        return False
    try:
        with Image.open(path) as image:
            image.load()
            return image.size == size_px and image.mode == "RGB"
    except (OSError, SyntaxError, ValueError):
        return False


def _batches(pictures: list[Picture], size: int) -> Iterator[list[Picture]]:
    for start in range(0, len(pictures), size):
        yield pictures[start : start + size]


def _check_size(section: Synthesize) -> None:
    for name in ("width", "height"):
        if getattr(section, name) % 8:
            raise ParamsError(
                f"params.yaml, synthesize.{name}: {getattr(section, name)}, expected a multiple "
                "of 8 px"
            )

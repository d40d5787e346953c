"""Sets of sampled images: made image by image, resumed with what is there, described at the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from synthgap.data.image_set import ImageSet, square, write_manifest, write_png
from synthgap.generation.pipelines.provenance import Provenance, scheduler_name
from synthgap.generation.pipelines.sampler import Request, SamplingSettings
from synthgap.jobs import file_digest
from synthgap.params.sections import Data, Oracle, Runtime
from synthgap.seeding import derived_seed

FINISHED = "finished"


@dataclass(frozen=True)
class PlannedImage:
    """One image that the set shall hold; `path` is relative to the set.

    `source` is the row of the real image that prompts it, where one does.
    """

    label: int
    class_name: str
    prompt: str
    seed: int
    path: str
    source: int | None = None


Sampler = Callable[[Sequence[PlannedImage]], np.ndarray]
"""Pixels of one batch of pictures, uint8 (num_pictures, height, width, 3)."""


@dataclass(frozen=True)
class PromptedSetInProgress:
    """A set in the making; its images lie in `folder` until it is whole."""

    name: str  # as it is told
    folder: Path
    pictures: Sequence[PlannedImage]
    classes: tuple[str, ...]
    data: Data
    size_px: tuple[int, int]  # width and height as sampled

    @property
    def stored_px(self) -> tuple[int, int]:
        """Width and height as stored."""
        size = self.data.image_size
        return (size, size) if self.data.encoding == "png" else self.size_px


def make_missing(
    making: PromptedSetInProgress, open_sampler: Callable[[], Sampler], *, batch: int
) -> None:
    """Sample the images that are not there from before, `batch` at a time."""
    from synthgap.jobs.progress import Progress, log_line

    total, size = len(making.pictures), making.stored_px
    missing = [one for one in making.pictures if not _intact(making.folder / one.path, size)]
    there = total - len(missing)
    if there:
        log_line(f"{making.name}: {there} of {total} images are there from before")
    if not missing:
        return
    sampler = open_sampler()
    progress = Progress(making.name, total, "images", done=there)
    for part in _batches(missing, batch):
        for one, pixels in zip(part, sampler(part), strict=True):
            stored = Image.fromarray(pixels)
            if making.data.encoding == "png":
                stored = square(stored, making.data.image_size)
            write_png(making.folder / one.path, np.asarray(stored))
        progress.advance(len(part))


def assemble_prompted(
    making: PromptedSetInProgress, facts: Mapping[str, Any], about: Mapping[str, Any]
) -> Path:
    """Move exactly the set's images into one folder and describe them; leave all else behind.

    `facts` are columns that every image shares. Returns the folder.
    """
    finished = making.folder / FINISHED
    shutil.rmtree(finished, ignore_errors=True)
    pictures = sorted(making.pictures, key=lambda one: (one.label, one.path))
    for one in pictures:
        target = finished / one.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(making.folder / one.path)
    width, height = making.stored_px
    count = len(pictures)
    columns: dict[str, list[Any]] = {
        "path": [one.path for one in pictures],
        "label": [one.label for one in pictures],
        "class_name": [one.class_name for one in pictures],
        "prompt": [one.prompt for one in pictures],
        "seed": [one.seed for one in pictures],
        **{name: [value] * count for name, value in facts.items()},
        "sha256": [file_digest(finished / one.path) for one in pictures],
        "width": [width] * count,
        "height": [height] * count,
    }
    write_manifest(finished, kind="synthetic", classes=making.classes, columns=columns, about=about)
    return finished


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


def _batches(pictures: list[PlannedImage], size: int) -> Iterator[list[PlannedImage]]:
    for start in range(0, len(pictures), size):
        yield pictures[start : start + size]


NAME = "oracle"
CAVEAT = (
    "An oracle: every image is prompted by the embedding of a real training image, so the prompts "
    "carry information of the very images that synthetic ones are to replace. It bounds what "
    "better prompts could give; it does not save real images."
)


@dataclass(frozen=True)
class PromptedSet:
    """What is sampled: the images that prompt, the pipeline's folder and where that comes from."""

    seed: int
    runtime: Runtime
    data: Data
    section: Oracle
    prompts: ImageSet
    pipeline: Path
    provenance: Provenance


def plan(seed: int, prompts: ImageSet) -> list[PlannedImage]:
    """One picture for each prompt, ordered by k: the i-th of class c is i x num_classes + c."""
    pictures: dict[int, PlannedImage] = {}
    seen = [0] * len(prompts.classes)
    for row, (path, label) in enumerate(zip(prompts.paths, prompts.labels.tolist(), strict=True)):
        index, name = seen[label], prompts.classes[label]
        seen[label] += 1
        number = index * len(prompts.classes) + label
        pictures[number] = PlannedImage(
            label=label,
            class_name=name,
            prompt=path,
            seed=derived_seed(seed, NAME, number),
            path=f"{name}/{index:05d}.png",
            source=row,
        )
    return [pictures[number] for number in sorted(pictures)]


def sample_prompted(prompted: PromptedSet, folder: Path) -> Path:
    """Sample what is not in `folder` yet; return the whole set's own folder inside it."""
    from synthgap.generation.trainers.unclip import native_size

    section, prompts = prompted.section, prompted.prompts
    making = PromptedSetInProgress(
        name=NAME,
        folder=folder,
        pictures=plan(prompted.seed, prompts),
        classes=prompts.classes,
        data=prompted.data,
        size_px=native_size(prompted.pipeline),
    )
    make_missing(making, lambda: _sampler(prompted), batch=section.compute_batch)
    facts = {
        "guidance_scale": section.guidance_scale,
        "steps": section.sampling_steps,
        "scheduler": scheduler_name(prompted.pipeline),
        "generator_digest": prompted.provenance.sha256,
    }
    seen = prompted.provenance.real_labels
    about: dict[str, Any] = {
        "generator_real_labels": None if seen is None else seen + len(prompts),
        "prompted_by": {"name": prompts.root.name, "digest": prompts.digest},
        "caveat": CAVEAT,
    }
    return assemble_prompted(making, facts, about)


def _sampler(prompted: PromptedSet) -> Sampler:
    from synthgap.generation.pipelines.opening import open_sampler

    classes = prompted.prompts.classes
    sampler = open_sampler(
        prompted.pipeline, _settings(prompted), prompted.runtime, classes=classes, prompts=()
    )

    def pixels_of(part: Sequence[PlannedImage]) -> np.ndarray:
        requests = [
            Request(one.seed, image=np.asarray(prompted.prompts.image(one.source)))
            for one in part
            if one.source is not None
        ]
        return sampler(requests).pixels

    return pixels_of


def _settings(prompted: PromptedSet) -> SamplingSettings:
    section = prompted.section
    return SamplingSettings(
        negative_prompt="",
        guidance_scale=section.guidance_scale,
        steps=section.sampling_steps,
        scheduler=None,
        width=None,
        height=None,
        compute_batch=section.compute_batch,
        decode_batch=section.compute_batch,
        noise_level=section.noise_level,
    )

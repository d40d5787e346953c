"""Sets of sampled images: made image by image, resumed with what is there, described at the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from synthgap.artifacts import file_digest
from synthgap.data.image_set import square, write_manifest, write_png
from synthgap.params.sections import Data

FINISHED = "finished"


@dataclass(frozen=True)
class Picture:
    """One image that the set shall hold; `path` is relative to the set.

    `source` is the row of the real image that prompts it, where one does.
    """

    label: int
    class_name: str
    prompt: str
    seed: int
    path: str
    source: int | None = None


Sampler = Callable[[Sequence[Picture]], np.ndarray]
"""Pixels of one batch of pictures, uint8 (num_pictures, height, width, 3)."""


@dataclass(frozen=True)
class Making:
    """A set in the making; its images lie in `folder` until it is whole."""

    name: str  # as it is told
    folder: Path
    pictures: Sequence[Picture]
    classes: tuple[str, ...]
    data: Data
    size_px: tuple[int, int]  # width and height as sampled

    @property
    def stored_px(self) -> tuple[int, int]:
        """Width and height as stored."""
        size = self.data.image_size
        return (size, size) if self.data.encoding == "png" else self.size_px


def make_missing(making: Making, open_sampler: Callable[[], Sampler], *, batch: int) -> None:
    """Sample the images that are not there from before, `batch` at a time."""
    from synthgap.generation.jobs.progress import Progress, tell

    total, size = len(making.pictures), making.stored_px
    missing = [one for one in making.pictures if not _intact(making.folder / one.path, size)]
    there = total - len(missing)
    if there:
        tell(f"{making.name}: {there} of {total} images are there from before")
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


def assemble(making: Making, facts: Mapping[str, Any], about: Mapping[str, Any]) -> Path:
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


def _batches(pictures: list[Picture], size: int) -> Iterator[list[Picture]]:
    for start in range(0, len(pictures), size):
        yield pictures[start : start + size]

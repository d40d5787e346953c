"""Samples of someone else's generator, a GAN's perhaps: files take the place of sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from synthgap.errors import GeneratorError
from synthgap.generation.pipelines.provenance import sample_files
from synthgap.generation.pipelines.sampler import Request, Sampled, SamplingSettings


@dataclass(frozen=True)
class FolderSampler:
    """Images of a folder with a folder for each class, or of a flat one, which has no labels.

    Request k is answered by file k of the folder, sorted by name, or, with classes, by that file
    of its class which it is there: k is i x num_classes + c for the i-th of class c.
    """

    folder: Path
    classes: tuple[str, ...]
    size_px: tuple[int, int]
    files: dict[str, tuple[Path, ...]]  # by class, or all under ""

    @property
    def needs_images(self) -> bool:
        """Nothing prompts files."""
        return False

    @property
    def knows_classes(self) -> bool:
        """Whether the folder has a folder for each class."""
        return "" not in self.files

    @classmethod
    def open(
        cls, folder: Path, settings: SamplingSettings, classes: Sequence[str]
    ) -> FolderSampler:
        """List what is there; images get the asked size, or else that of the first.

        Raises:
            GeneratorError: there are no images, or a class has none.
        """
        files = sample_files(folder)
        found = {"": tuple(files)}
        if any(path.parent != folder for path in files):
            found = {name: tuple(p for p in files if p.parent.name == name) for name in classes}
        lost = [name for name, several in found.items() if not several]
        if lost:
            raise GeneratorError(
                f"{folder / lost[0]}: no images, nor of {len(lost) - 1} more classes; expected a "
                "folder for each class, named like the real one, or all images in one folder"
            )
        width, height = settings.width, settings.height
        first = next(iter(found.values()))[0]
        native = _opened(first).size if width is None or height is None else (width, height)
        return cls(folder, tuple(classes), native, found)

    def __call__(self, requests: Sequence[Request]) -> Sampled:
        """Read the images of these requests.

        Raises:
            GeneratorError: there are too few, or one cannot be read.
        """
        return Sampled(np.stack([self._pixels(self._file(one)) for one in requests]))

    def _file(self, request: Request) -> Path:
        name, index = "", request.number
        if self.knows_classes:
            label = 0 if request.label is None else request.label
            name, index = self.classes[label], request.number // len(self.classes)
        there = self.files[name]
        if index >= len(there):
            raise GeneratorError(
                f"{self.folder / name}: {len(there)} images, but number {index} (from 0) is asked "
                "for; expected more samples, or a smaller synthesize.count, factor or filter"
            )
        return there[index]

    def _pixels(self, path: Path) -> np.ndarray:
        image = _opened(path)
        if image.size != self.size_px:
            image = ImageOps.fit(image, self.size_px, Image.Resampling.BICUBIC)
        return np.asarray(image)


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise GeneratorError(
            f"{path}: cannot be read ({error}); expected a whole image, restore it"
        ) from error

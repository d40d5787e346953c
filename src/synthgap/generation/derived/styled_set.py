"""One image set made anew in other pictures' styles, image by image, and what became of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from synthgap.data.image_set import ImageSet, square, write_manifest, write_png
from synthgap.errors import GeneratorError
from synthgap.generation.derived.style_pictures import StylePictures
from synthgap.generation.derived.texture import mean_contrast, shape_kept, texture_distance
from synthgap.generation.trainers.adain import StyleTransfer
from synthgap.generation.trainers.style_training import as_levels
from synthgap.jobs import file_digest
from synthgap.jobs.progress import Progress, log_line
from synthgap.params.sections import Stylise

IMAGES, FINISHED = "images", "finished"
MEASURED = 1000  # images of a set, evenly spaced, that the statistics look at
SHOWN = 10  # classes in the picture
LEAST_CONTRAST = 4.0  # grey levels of standard deviation within an image, in the mean


@dataclass(frozen=True)
class StyleNetworks:
    """Fixed networks, and which pictures they take the style from."""

    network: StyleTransfer
    styles: StylePictures
    section: Stylise
    size_px: int
    seed: int

    def repaint(self, images: np.ndarray, styles: np.ndarray) -> np.ndarray:
        """Each image in the style of its picture; all uint8 (count, size_px, size_px, 3).

        The batch is always full, since another batch size rounds differently in the last bit.
        """
        assert 0 < len(images) == len(styles) <= self.section.batch_size
        rows = np.minimum(np.arange(self.section.batch_size), len(images) - 1)
        device = self.network.encoder.mix.device
        content, style = (as_levels(part[rows]).to(device) for part in (images, styles))
        with torch.no_grad():
            painted = self.network(content, style, self.section.strength)[: len(images)]
        levels = painted.clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1)
        result: np.ndarray = levels.contiguous().cpu().numpy()
        return result


@dataclass(frozen=True)
class StyledBatch:
    """Some originals, their style pictures and their results; uint8 (count, size, size, 3) each."""

    originals: np.ndarray
    styles: np.ndarray
    results: np.ndarray


@dataclass(frozen=True)
class StyledSet:
    """A finished set, still in the work folder, with its statistics; see `texture`."""

    finished: Path
    parent: ImageSet
    texture: dict[str, float]  # distance to the style `before` and `after`, and `from_original`
    shape: dict[str, float]  # kept of its `own` original, and of an `other` by chance
    shown: StyledBatch  # one image a class, of ten classes at most

    def about(self) -> dict[str, Any]:
        """Number, digest and origin, for records."""
        images = ImageSet.read(self.finished)
        return {"num_images": len(images), "digest": images.digest, "parent": self.parent.digest}


@dataclass(frozen=True)
class _StyledSetInProgress:
    """A set in the making; image k of the parent becomes `target(k)`."""

    stylist: StyleNetworks
    name: str
    parent: ImageSet
    folder: Path

    def path(self, number: int) -> str:
        """Relative to the set: the original's name, and .png where it is not."""
        path = self.parent.paths[number]
        return path if path.endswith(".png") else f"{path}.png"

    def target(self, number: int) -> Path:
        return self.folder / IMAGES / self.path(number)

    def original(self, number: int) -> np.ndarray:
        return np.asarray(square(self.parent.image(number), self.stylist.size_px))

    def style(self, number: int) -> int:
        return self.stylist.styles.chosen(number, seed=self.stylist.seed)

    def triple(self, numbers: Iterable[int]) -> StyledBatch:
        shown = list(numbers)
        return StyledBatch(
            np.stack([self.original(number) for number in shown]),
            self.stylist.styles.pixels[[self.style(number) for number in shown]],
            np.stack([read_png(self.target(number)) for number in shown]),
        )


def make_set(stylist: StyleNetworks, name: str, parent: ImageSet, folder: Path) -> StyledSet:
    """Make what is missing of the set `name` in `folder`, and describe the whole.

    Raises:
        DataError: an image of the parent is missing or damaged.
        GeneratorError: the results are blank.
    """
    painting = _StyledSetInProgress(stylist, name, parent, folder)
    _paint_missing(painting)
    measured = painting.triple(_spaced(len(parent), MEASURED).tolist())
    contrast = mean_contrast(measured.results)
    if contrast < LEAST_CONTRAST:
        raise GeneratorError(
            f"{name}, stylised: blank, levels within an image vary by {contrast:.1f} in the mean, "
            f"expected {LEAST_CONTRAST:g} or more; check stylise.pin, stylise.pictures and the "
            "learning rate"
        )
    firsts = np.unique(parent.labels, return_index=True)[1]
    styled = StyledSet(
        finished=folder / FINISHED,
        parent=parent,
        texture=_texture(measured),
        shape=_shape(measured),
        shown=painting.triple(firsts[_spaced(len(firsts), SHOWN)].tolist()),
    )
    _assemble(painting, styled)
    return styled


def read_png(path: Path) -> np.ndarray:
    """Levels as uint8 (height, width, 3)."""
    with Image.open(path) as image:
        return np.asarray(image)


def _paint_missing(painting: _StyledSetInProgress) -> None:
    stylist, total = painting.stylist, len(painting.parent)
    missing = [k for k in range(total) if not _intact(painting.target(k), stylist.size_px)]
    if len(missing) < total:
        there = total - len(missing)
        log_line(f"stylise {painting.name}: {there} of {total} images are there from before")
    progress = Progress(f"stylise {painting.name}", total, "images", done=total - len(missing))
    batch = stylist.section.batch_size
    for start in range(0, len(missing), batch):
        part = missing[start : start + batch]
        originals = np.stack([painting.original(number) for number in part])
        styles = stylist.styles.pixels[[painting.style(number) for number in part]]
        for number, pixels in zip(part, stylist.repaint(originals, styles), strict=True):
            write_png(painting.target(number), pixels)
        progress.advance(len(part))


def _intact(path: Path, size_px: int) -> bool:
    """Whether a finished image of the right size lies there; a damaged one is made again."""
    if not path.is_file():
        return False
    try:
        return read_png(path).shape == (size_px, size_px, 3)
    except (OSError, SyntaxError, ValueError):
        return False


def _texture(images: StyledBatch) -> dict[str, float]:
    return {
        "before": texture_distance(images.originals, images.styles),
        "after": texture_distance(images.results, images.styles),
        "from_original": texture_distance(images.results, images.originals),
    }


def _shape(images: StyledBatch) -> dict[str, float]:
    others = np.roll(images.originals, len(images.originals) // 2, axis=0)
    return {
        "own": shape_kept(images.originals, images.results),
        "other": shape_kept(others, images.results),
    }


def _assemble(painting: _StyledSetInProgress, styled: StyledSet) -> None:
    """Move exactly the set's images into one folder and describe them; leave all else behind."""
    finished, stylist, parent = styled.finished, painting.stylist, styled.parent
    shutil.rmtree(finished, ignore_errors=True)
    numbers = range(len(parent))
    for number in numbers:
        target = finished / painting.path(number)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(painting.target(number))
    columns: dict[str, list[Any]] = {
        "path": [painting.path(number) for number in numbers],
        "label": parent.labels.tolist(),
        "class_name": [parent.classes[label] for label in parent.labels],
        "parent_path": list(parent.paths),
        "parent_sha256": list(parent.sha256s),
        "style": [stylist.styles.names[painting.style(number)] for number in numbers],
        "sha256": [file_digest(painting.target(number)) for number in numbers],
        "width": [stylist.size_px] * len(parent),
        "height": [stylist.size_px] * len(parent),
    }
    about = {
        **parent.about,
        "derived_from": {"name": painting.name, "digest": parent.digest},
        "stylised": {
            "pictures": stylist.section.pictures,
            "strength": stylist.section.strength,
            "texture": styled.texture,
            "shape": styled.shape,
        },
    }
    write_manifest(finished, kind=parent.kind, classes=parent.classes, columns=columns, about=about)


def _spaced(total: int, most: int) -> np.ndarray:
    """At most so many indices of `total`, evenly spaced."""
    return np.linspace(0, total - 1, min(total, most)).astype(int)

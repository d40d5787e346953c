"""One image set made anew in other pictures' styles, image by image, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from synthgap.data.image_set import ImageSet, square
from synthgap.errors import GeneratorError
from synthgap.generation.derived.style_pictures import StylePictures
from synthgap.generation.derived.texture import mean_contrast, shape_kept, texture_distance
from synthgap.generation.pipelines.sampler import Request, Sampled
from synthgap.generation.synthesis.assembling import ManifestFacts
from synthgap.generation.synthesis.candidates import Candidates
from synthgap.generation.synthesis.encoding import Encoding
from synthgap.generation.synthesis.filters import as_asked
from synthgap.generation.synthesis.parts import SHARD_ABOVE
from synthgap.generation.synthesis.sampling import SamplingJob, sample_set
from synthgap.generation.synthesis.set_in_progress import SamplingTools, SetInProgress
from synthgap.generation.trainers.adain import StyleTransfer
from synthgap.generation.trainers.style_training import as_levels
from synthgap.params.sections import Runtime, Stylise

SUFFIX = "-stylised"
MEASURED = 1000  # images of a set, evenly spaced, that the statistics look at
EXAMPLES = 10  # classes in the picture
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

    folder: Path
    parent: ImageSet
    texture: dict[str, float]  # distance to the style `before` and `after`, and `from_original`
    shape: dict[str, float]  # kept of its `own` original, and of an `other` by chance
    examples: StyledBatch  # one image a class, of ten classes at most

    def about(self) -> dict[str, Any]:
        """Number, digest and origin, for records."""
        images = ImageSet.read(self.folder)
        return {"num_images": len(images), "digest": images.digest, "parent": self.parent.digest}


@dataclass(frozen=True)
class _ParentImages(Candidates):
    """The parent's images in its order: each prompts the one that takes its name."""

    def row(self, number: int) -> int:
        """Which image of the parent it is."""
        row = self.source(number)
        assert row is not None, "every candidate is made of an image"
        return row

    def path(self, number: int, label: int, extension: str) -> str:  # noqa: ARG002 - the parent's
        """The original's name, and .png where it is not."""
        assert self.prompting is not None
        path = self.prompting.paths[self.row(number)]
        return path if path.endswith(f".{extension}") else f"{path}.{extension}"


@dataclass(frozen=True)
class _Restyling:
    """One set and what makes it anew; an image depends on the parent's alone, and its style."""

    stylist: StyleNetworks
    recipe: str
    name: str  # of the parent
    parent: ImageSet
    runtime: Runtime

    @property
    def job(self) -> SamplingJob:
        parent = self.parent
        facts = ManifestFacts(shared={}, own=self._own, about=self._about, kind=parent.kind)
        return SamplingJob(
            runtime=self.runtime,
            workers=1,  # this process has trained the networks
            threads=self.stylist.section.threads,
            pipeline=None,
            making=self._making,
            tools=self._tools,
            facts=facts,
        )

    def batch(self, rows: Iterable[int], images: ImageSet) -> StyledBatch:
        """Some rows of the parent, and what became of them in the finished set."""
        rows = list(rows)
        return StyledBatch(
            np.stack([self._original(self.parent.image(row)) for row in rows]),
            self._styles(rows),
            np.stack([np.asarray(images.image(row)) for row in rows]),
        )

    @cached_property
    def _images(self) -> _ParentImages:
        classes = self.parent.classes
        return _ParentImages(0, classes, labelled=True, writer=None, prompting=self.parent)

    def _making(self, folder: Path) -> SetInProgress:
        counts = np.bincount(self.parent.labels, minlength=len(self.parent.classes))
        return SetInProgress(
            name=f"stylise {self.name}",
            folder=folder,
            candidates=self._images,
            wanted=counts,
            batch=self.stylist.section.batch_size,
            packed=len(self.parent) > SHARD_ABOVE,
            max_candidates=1.0,
            available=counts,
            encoding=Encoding("png", self.stylist.size_px),
            metadata=self._metadata,
            near_copies=None,
        )

    def _tools(self) -> SamplingTools:
        return SamplingTools(self._restyle, lambda _, requests: [as_asked(one) for one in requests])

    def _restyle(self, requests: Sequence[Request]) -> Sampled:
        rows = [self._images.row(request.number) for request in requests]
        originals = [self._original(Image.fromarray(np.asarray(one.image))) for one in requests]
        return Sampled(self.stylist.repaint(np.stack(originals), self._styles(rows)))

    def _original(self, image: Image.Image) -> np.ndarray:
        return np.asarray(square(image, self.stylist.size_px))

    def _styles(self, rows: Sequence[int]) -> np.ndarray:
        styles, seed = self.stylist.styles, self.stylist.seed
        return styles.pixels[[styles.chosen(row, seed=seed) for row in rows]]

    def _own(self, number: int) -> dict[str, Any]:
        row, stylist = self._images.row(number), self.stylist
        return {
            "parent_path": self.parent.paths[row],
            "parent_sha256": self.parent.sha256s[row],
            "style": stylist.styles.names[stylist.styles.chosen(row, seed=stylist.seed)],
        }

    def _metadata(self, request: Request, label: int, class_name: str) -> dict[str, Any]:
        return {
            "recipe": self.recipe,
            "set": f"{self.name}{SUFFIX}",
            "parent": {"name": self.name, "digest": self.parent.digest},
            **self._own(request.number),
            "strength": self.stylist.section.strength,
            "label": label,
            "class_name": class_name,
        }

    @property
    def _about(self) -> dict[str, Any]:
        section = self.stylist.section
        return {
            **self.parent.about,
            "derived_from": {"name": self.name, "digest": self.parent.digest},
            "stylised": {"pictures": section.pictures, "strength": section.strength},
        }


def make_set(  # noqa: PLR0913 - networks, and one set's parent and place
    stylist: StyleNetworks,
    recipe: str,
    name: str,
    parent: ImageSet,
    runtime: Runtime,
    folder: Path,
) -> StyledSet:
    """Make what is missing in `folder` of the set made of `name`, and measure the whole.

    Raises:
        DataError: an image of the parent is missing or damaged.
        GeneratorError: the results are blank.
    """
    restyling = _Restyling(stylist, recipe, name, parent, runtime)
    made: list[Path] = []
    sample_set(restyling.job, folder, made.append)
    images = ImageSet.read(made[0])
    measured = restyling.batch(_spaced(len(parent), MEASURED).tolist(), images)
    contrast = mean_contrast(measured.results)
    if contrast < LEAST_CONTRAST:
        raise GeneratorError(
            f"{name}, stylised: blank, levels within an image vary by {contrast:.1f} in the mean, "
            f"expected {LEAST_CONTRAST:g} or more; check stylise.pin, stylise.pictures and the "
            "learning rate"
        )
    firsts = np.unique(parent.labels, return_index=True)[1]
    examples = restyling.batch(firsts[_spaced(len(firsts), EXAMPLES)].tolist(), images)
    return StyledSet(made[0], parent, _texture(measured), _shape(measured), examples)


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


def _spaced(total: int, most: int) -> np.ndarray:
    """At most so many indices of `total`, evenly spaced."""
    return np.linspace(0, total - 1, min(total, most)).astype(int)

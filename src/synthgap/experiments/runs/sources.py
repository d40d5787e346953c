"""What a run reads: image sets, their kind, and how many real labels stand behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthgap.data import ImageSet
from synthgap.errors import DataError, GateError
from synthgap.jobs import Artifacts, read_json
from synthgap.params.synthesis import SetName
from synthgap.training.labelled_images import LabelledImages

REAL, CORPUS, ORACLE = "train", "corpus", "oracle"
MIXED = "mixed"
STYLISED = "-stylised"
MAIN = "main"  # the recipe's own generator, beside its rivals


@dataclass(frozen=True)
class Source:
    """An image set that passed the gate, in memory; a mixed one is two, real images first."""

    name: str
    images: ImageSet
    labelled: LabelledImages
    parts_of_mix: tuple[Source, ...] = ()

    @property
    def kind(self) -> str:
        """`real`, `corpus` (what the generator has seen), `synthetic` or `mixed`."""
        return CORPUS if self.name == CORPUS else self.images.kind

    @property
    def parts(self) -> tuple[Source, ...]:
        """The sets on disk that its images come from: itself, but for a mixed one."""
        return self.parts_of_mix or (self,)

    @property
    def generator_labels(self) -> int | None:
        """Real labels behind its generated images; None where nobody knows."""
        most = 0
        for part in self.parts:
            count = part.images.about.get("generator_real_labels")
            if part.kind == "synthetic" and count is None:
                return None
            most = max(most, int(count or 0) if part.kind == "synthetic" else 0)
        return most

    @property
    def setting(self) -> dict[str, str | int | None]:
        """Which generator made its images from which prompts in how many steps.

        As the set says of itself, else as its name says; all None where no setting made them.
        """
        named = SetName.parse(self.name.removesuffix(STYLISED))
        if named is None:
            return dict.fromkeys(("generator", "scheme", "steps"))
        about = self.images.about
        return {
            "generator": named.rival or MAIN,
            "scheme": about.get("scheme", named.scheme),
            "steps": about.get("steps", named.steps),
        }


def stylised(name: str) -> str:
    """Name of the set made from set `name` in the style of other pictures."""
    return f"{name}{STYLISED}"


def open_source(artifacts: Artifacts, name: str, size_px: int) -> Source:
    """Read a set that something learns from.

    A set made from another image by image is judged by the gate's word on that one.

    Raises:
        GateError: the gate has no good word for exactly these images, or those they are made from.
        DataError: the set is missing or damaged.
    """
    images = ImageSet.read(artifacts.image_set(name))
    origin = images.about.get("derived_from") or {"name": name, "digest": images.digest}
    path = artifacts.verdict(origin["name"])
    verdict = read_json(path) if path.is_file() else {}
    if not verdict.get("passed") or verdict.get("digest") != origin["digest"]:
        made_from = "" if origin["name"] == name else f", made from {origin['name']}"
        raise GateError(
            f"{path}: no passing verdict on {artifacts.image_set(name)}{made_from}; nothing trains "
            "on what the gate has not passed, rerun `dvc repro validate`"
        )
    return Source(name, images, _labelled(artifacts, images, size_px))


def read_source(artifacts: Artifacts, folder: Path, name: str, size_px: int) -> Source:
    """Read a set into memory without asking for the gate's word on it.

    Raises:
        DataError: it is missing or damaged.
    """
    images = ImageSet.read(folder)
    return Source(name, images, _labelled(artifacts, images, size_px))


def open_scored(artifacts: Artifacts, size_px: int) -> dict[str, Source]:
    """Read the real sets that students are scored on: `val`, unless it is empty, and `test`."""
    opened = {}
    for name in ("val", "test"):
        images = ImageSet.read(artifacts.image_set(name))
        if len(images):
            opened[name] = Source(name, images, _labelled(artifacts, images, size_px))
    return opened


def mixed(real: Source, synthetic: Source) -> Source:
    """Both sets' images as one source, the real ones first.

    Raises:
        DataError: they have other classes.
    """
    if real.images.classes != synthetic.images.classes:
        raise DataError(
            f"{real.images.root} and {synthetic.images.root}: {len(real.images.classes)} and "
            f"{len(synthetic.images.classes)} classes, or others; expected the same ones, rerun "
            "`dvc repro synthesize`"
        )
    parts = (real, synthetic)
    images = ImageSet(
        root=real.images.root.parent,
        kind=MIXED,
        classes=real.images.classes,
        paths=tuple(f"{part.name}/{path}" for part in parts for path in part.images.paths),
        labels=np.concatenate([part.images.labels for part in parts]),
        sha256s=tuple(sha for part in parts for sha in part.images.sha256s),
        about={},
    )
    labelled = real.labelled.joined(synthetic.labelled)
    return Source("+".join(part.name for part in parts), images, labelled, parts)


def _labelled(artifacts: Artifacts, images: ImageSet, size_px: int) -> LabelledImages:
    pixels = images.pixels(size_px, store=artifacts.root / ".synthgap" / "packed")
    return LabelledImages.of(pixels, images.labels)

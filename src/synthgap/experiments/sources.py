"""What a run reads: image sets, their kind, and how many real labels stand behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgap.artifacts import Artifacts, read_json
from synthgap.data import ImageSet
from synthgap.errors import GateError
from synthgap.params.sections import Reduce
from synthgap.seeding import stream
from synthgap.training.labelled import Labelled

REAL, CORPUS = "train", "corpus"


@dataclass(frozen=True)
class Source:
    """An image set that passed the gate, in memory."""

    name: str
    images: ImageSet
    labelled: Labelled

    @property
    def kind(self) -> str:
        """`real`, `corpus` (what the generator has seen) or `synthetic`."""
        return {REAL: "real", CORPUS: "corpus"}.get(self.name, "synthetic")

    @property
    def generator_labels(self) -> int | None:
        """Real labels the generator has learned from; None where nobody knows."""
        if self.kind != "synthetic":
            return 0
        count = self.images.about.get("generator_real_labels")
        return None if count is None else int(count)


def open_source(artifacts: Artifacts, name: str, size_px: int) -> Source:
    """Read a set that something learns from.

    Raises:
        GateError: the gate has no good word for exactly these images.
        DataError: the set is missing or damaged.
    """
    images = ImageSet.read(artifacts.image_set(name))
    path = artifacts.verdict(name)
    verdict = read_json(path) if path.is_file() else {}
    if not verdict.get("passed") or verdict.get("digest") != images.digest:
        raise GateError(
            f"{path}: no passing verdict on {artifacts.image_set(name)}; nothing trains on what "
            "the gate has not passed, rerun `dvc repro validate`"
        )
    return Source(name, images, _labelled(artifacts, images, size_px))


def open_scored(artifacts: Artifacts, size_px: int) -> dict[str, Source]:
    """Read the real sets that students are scored on: `val`, unless it is empty, and `test`."""
    opened = {}
    for name in ("val", "test"):
        images = ImageSet.read(artifacts.image_set(name))
        if len(images):
            opened[name] = Source(name, images, _labelled(artifacts, images, size_px))
    return opened


def subset(labels: np.ndarray, denominator: int, reduce: Reduce, *, seed: int) -> np.ndarray:
    """Indices of 1/denominator of the images; of one seed, smaller subsets lie in larger ones.

    labels: (num_images,) int64. `stratified` takes the share of every class, at least one image
    each; `uniform` draws over all (MtG leaves open which was meant).
    """
    if reduce.subset == "uniform":
        order = stream(seed, "subset").permutation(len(labels))
        return np.sort(order[: max(1, round(len(labels) / denominator))])
    kept = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = stream(seed, "subset", int(label)).permutation(members)
        kept.append(order[: max(1, round(len(members) / denominator))])
    return np.sort(np.concatenate(kept))


def _labelled(artifacts: Artifacts, images: ImageSet, size_px: int) -> Labelled:
    pixels = images.pixels(size_px, store=artifacts.root / ".synthgap" / "packed")
    return Labelled.of(pixels, images.labels)

"""A sample of an image set, and its embeddings, kept in `.synthgap/embeddings`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthgap.data import MANIFEST, ImageSet, square
from synthgap.data.embedding_cache import cached_array
from synthgap.evaluation.probe import evenly
from synthgap.jobs import Artifacts

BATCH = 256  # images decoded at once
STORED_BYTES = 1 << 28  # of pixels that are kept decoded


@dataclass(frozen=True)
class ImageSample:
    """The part of a set that is measured: the images of `rows`, rising indices into it."""

    name: str
    images: ImageSet
    rows: np.ndarray

    @classmethod
    def open(cls, artifacts: Artifacts, name: str, *, max_images: int) -> ImageSample:
        """Read the set `name`; of a large one, as many images of each class as fit, evenly spaced.

        Raises:
            DataError: the set is missing or damaged.
        """
        images = ImageSet.read(artifacts.image_set(name))
        if len(images) <= max_images:
            return cls(name, images, np.arange(len(images)))
        labels = images.labels
        each = max(1, max_images // len(np.unique(labels)))
        members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        kept = [rows[evenly(len(rows), each)] for rows in members]
        return cls(name, images, np.sort(np.concatenate(kept)))

    def __len__(self) -> int:
        """Return how many images it has."""
        return len(self.rows)

    @property
    def labels(self) -> np.ndarray:
        """Of its images, int64 (n,)."""
        labels: np.ndarray = self.images.labels[self.rows]
        return labels

    def part(self, rows: np.ndarray) -> ImageSample:
        """Fewer of its images: `rows` index those of this sample.

        `rows`: (num_rows,) int64.
        """
        return ImageSample(self.name, self.images, self.rows[rows])

    def pixels(self, size_px: int, *, store: Path) -> Iterator[np.ndarray]:
        """Yield squares of `size_px`, batch by batch, uint8 (some, size_px, size_px, 3).

        A small set that is whole is decoded into `store`, where students find it later.

        Raises:
            DataError: an image is missing or damaged.
        """
        whole = len(self) == len(self.images) and len(self) * size_px**2 * 3 <= STORED_BYTES
        packed = self.images.pixels(size_px, store=store) if whole else None
        for start in range(0, len(self), BATCH):
            rows = self.rows[start : start + BATCH]
            if packed is not None:
                yield np.asarray(packed[rows])
            else:
                images = [square(self.images.image(int(row)), size_px) for row in rows]
                yield np.stack([np.asarray(image) for image in images])

    def prompts(self) -> list[str] | None:
        """The texts that the images were made from; None where texts made none of them."""
        import pyarrow.parquet as pq

        if not self.images.about.get("spoken", True):  # no class was ever spoken of
            return None
        path = self.images.root / MANIFEST
        if "prompt" not in pq.read_schema(path).names:
            return None
        column = pq.read_table(path, columns=["prompt"]).column("prompt").to_pylist()
        found = [str(column[row] or "") for row in self.rows]
        return found if any(found) else None


@dataclass(frozen=True)
class FeatureExtractor:
    """A network and its way of reading images; `identity` is all that determines its answers."""

    size_px: int
    identity: dict[str, Any]
    ask: Callable[[np.ndarray], np.ndarray]  # uint8 (n, size, size, 3) -> float32 (n, dim)


def embeddings_of(
    sample: ImageSample, extractor: FeatureExtractor, artifacts: Artifacts
) -> np.ndarray:
    """What the network says of every image, float32 (n, dim): kept where it was asked before.

    Raises:
        DataError: an image is missing or damaged.
    """

    def ask() -> np.ndarray:
        store = artifacts.root / ".synthgap" / "packed"
        batches = sample.pixels(extractor.size_px, store=store)
        return np.concatenate([extractor.ask(pixels) for pixels in batches])

    identity = {**extractor.identity, "size_px": extractor.size_px, "rows": sample.rows.tolist()}
    return cached_array(artifacts, sample.images.digest, identity, stage="fidelity", compute=ask)


def halves(labels: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rising indices of every other image of each class, and of the rest.

    `labels`: (num_images,); both results are int64 (num_rows,).
    """
    first = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        first[np.flatnonzero(np.asarray(labels) == label)[::2]] = True
    return np.flatnonzero(first), np.flatnonzero(~first)

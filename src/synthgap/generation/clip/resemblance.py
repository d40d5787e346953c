"""How much images resemble the real ones that prompted them, seen by the teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synthgap.data.image_set import ImageSet, square

if TYPE_CHECKING:
    from synthgap.models.clip import ImageTextModel

LOOKED_AT = 2000  # images at most, evenly over a set


def resemblance(
    teacher: ImageTextModel, made: ImageSet, prompts: ImageSet, size_px: int
) -> dict[str, float]:
    """Mean cosines of embeddings, and the share of images that are nearest to their own class.

    `own` is with an image's own prompt, `same_class` and `other_class` with the other prompts;
    `right_class` is the share whose nearest class mean of the prompts' embeddings is their own.
    """
    rows = some_rows(len(made))
    sources = {path: row for row, path in enumerate(prompts.paths)}
    asked = np.array([sources[path] for path in made.rows()["prompt"].iloc[rows]], np.int64)
    seen = unit(teacher.embed_images(pixels_of(made, rows, size_px)))
    wanted = unit(teacher.embed_images(pixels_of(prompts, asked, size_px)))
    labels = made.labels[rows]
    cosines = seen @ wanted.T
    same = labels[:, None] == labels[None, :]
    others = same & ~np.eye(len(rows), dtype=bool)
    present = np.unique(labels)
    means = np.stack([wanted[labels == label].mean(axis=0) for label in present])
    nearest = present[(seen @ unit(means).T).argmax(axis=1)]
    found = {
        "own": cosines.diagonal(),
        "same_class": cosines[others],
        "other_class": cosines[~same],
        "right_class": nearest == labels,
    }
    return {name: round(float(values.mean()), 4) for name, values in found.items() if values.size}


def some_rows(count: int) -> np.ndarray:
    """Rows of a set that are looked at: all, or some evenly over it."""
    return np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).round().astype(np.int64))


def pixels_of(images: ImageSet, rows: np.ndarray, size_px: int) -> np.ndarray:
    """Squares of those rows, uint8 (num_rows, size_px, size_px, 3)."""
    return np.stack([np.asarray(square(images.image(int(row)), size_px)) for row in rows])


def unit(vectors: np.ndarray) -> np.ndarray:
    """The rows at length 1."""
    scaled: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled

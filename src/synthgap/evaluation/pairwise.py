"""Distances between all pairs of feature vectors, a block of rows at a time.

Float64 throughout, and never more than a block of the pairs at once: 50,000 images by 2048
features need 0.4 GB as they came and 0.3 GB beside them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from synthgap.errors import DataError

ROWS, COLUMNS = 256, 4096
ROUNDING = 1e-12  # of the squared lengths: below it, two vectors are the same


def squared_distances(rows: np.ndarray, columns: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield which rows, and their squared distances from every column, (some, num_columns) float64.

    Both are features, float (num_images, dim).

    Raises:
        DataError: they have other lengths, or one holds no image.
    """
    if not len(rows) or not len(columns) or rows.shape[1] != columns.shape[1]:
        raise DataError(
            f"distances between features of the shapes {rows.shape} and {columns.shape}; expected "
            "at least one image each, and as many features"
        )
    middle = columns.mean(axis=0, dtype=np.float64)  # near it, sums of squares cancel the least
    lengths = np.concatenate([_lengths(part) for _, part in _blocks(columns, middle, COLUMNS)])
    for place, block in _blocks(rows, middle, ROWS):
        found = np.empty((len(block), len(columns)))
        for columns_place, part in _blocks(columns, middle, COLUMNS):
            found[:, columns_place] = block @ part.T
        scale = _lengths(block)[:, None] + lengths
        found *= -2
        found += scale
        found[found < ROUNDING * scale] = 0.0
        yield place, found


def radii(features: np.ndarray, *, neighbours: int) -> np.ndarray:
    """Squared distance of every image from its k-th nearest other one, float64 (num_images,).

    Raises:
        DataError: there are no k others.
    """
    if len(features) <= neighbours:
        raise DataError(
            f"{len(features)} images; expected more than the {neighbours} neighbours that are "
            "asked for"
        )
    found = np.empty(len(features))
    for place, squared in squared_distances(features, features):
        own = np.arange(place.start, place.stop)
        squared[own - place.start, own] = -1.0  # first in any order, duplicates or not
        found[place] = np.partition(squared, neighbours, axis=1)[:, neighbours]
    return found


def nearest(queries: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared distance to and index of every query's nearest target, float64 and int64 (n,)."""
    distances = np.empty(len(queries))
    indices = np.empty(len(queries), dtype=np.int64)
    for place, squared in squared_distances(queries, targets):
        indices[place] = squared.argmin(axis=1)
        distances[place] = squared.min(axis=1)
    return distances, indices


def _lengths(block: np.ndarray) -> np.ndarray:
    lengths: np.ndarray = np.square(block).sum(axis=1)
    return lengths


def _blocks(
    features: np.ndarray, middle: np.ndarray, size: int
) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, len(features), size):
        place = slice(start, min(start + size, len(features)))
        yield place, features[place].astype(np.float64) - middle

"""How much of one set lies where another does: precision, recall, density, coverage, diversity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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


BLOCK = 1024


def vendi(features: np.ndarray) -> float:
    """Effective number of different images: Vendi score (Friedman and Dieng 2023), cosine kernel.

    1 for images all alike, n for n images with nothing in common. features: float (num_images,
    dim). It grows with the number of images: compare equal numbers.

    Raises:
        DataError: there is no image, or one without any feature.
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", features, features, dtype=np.float64))
    if not len(features) or not lengths.all():
        raise DataError(
            f"the Vendi score of {len(features)} images, {int((lengths == 0).sum())} of them with "
            "features that are all 0; expected at least one image and none of those"
        )
    values = np.linalg.eigvalsh(_gram(features, lengths) / len(features))
    values = values[values > 0]
    return float(np.exp(-(values * np.log(values)).sum()))


def mean_distance(features: np.ndarray) -> float:
    """Mean distance between two different images; features: float (num_images, dim).

    Raises:
        DataError: there are fewer than two images.
    """
    count = len(features)
    if count < 2:
        raise DataError(f"the mean distance between {count} images; expected two or more")
    total = sum(float(np.sqrt(block).sum()) for _, block in squared_distances(features, features))
    return total / (count * (count - 1))


def _gram(features: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The smaller of the two matrices of cosines with the same non-zero eigenvalues."""
    count, dim = features.shape
    if count <= dim:
        rows = features / lengths[:, None]
        gram: np.ndarray = rows @ rows.T
        return gram.astype(np.float64)
    gram = np.zeros((dim, dim))
    for start in range(0, count, BLOCK):
        place = slice(start, start + BLOCK)
        rows = features[place] / lengths[place, None]
        gram += rows.T @ rows
    return gram


@dataclass(frozen=True)
class Manifold:
    """Shares of images, 0 to 1; `density` may exceed 1."""

    precision: float  # synthetic images that lie in a real one's ball
    recall: float  # real images that lie in a synthetic one's ball
    density: float  # real balls that a synthetic image lies in, over k
    coverage: float  # real images whose ball holds a synthetic one


def manifold(real: np.ndarray, synthetic: np.ndarray, *, neighbours: int) -> Manifold:
    """Improved precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem 2020).

    Both are features, float (num_images, dim). Recall is only comparable between sets of one size.

    Raises:
        DataError: a set has not more than `neighbours` images, or features differ in length.
    """
    real_radii = radii(real, neighbours=neighbours)
    synthetic_radii = radii(synthetic, neighbours=neighbours)
    balls = np.zeros(len(synthetic), dtype=np.int64)
    reached = np.zeros(len(real), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    for place, squared in squared_distances(synthetic, real):
        inside = squared <= real_radii
        balls[place] = inside.sum(axis=1)
        covered |= inside.any(axis=0)
        reached |= (squared <= synthetic_radii[place, None]).any(axis=0)
    return Manifold(
        precision=float((balls > 0).mean()),
        recall=float(reached.mean()),
        density=float(balls.mean() / neighbours),
        coverage=float(covered.mean()),
    )


def authenticity(training: np.ndarray, made: np.ndarray) -> float:
    """Share of made images that are no copies of what the generator saw (Alaa et al. 2022, 4).

    An image is one where it lies nearer to its nearest training image than that one does to any
    other training image. Images made without `training` score well below 1 too: what real ones
    score is the number to compare with.

    Both are features, float (num_images, dim).

    Raises:
        DataError: there are fewer than two training images, or features differ in length.
    """
    reach = radii(training, neighbours=1)
    distances, closest = nearest(made, training)
    return float((distances >= reach[closest]).mean())

"""How different the images of a set are from each other."""

from __future__ import annotations

import numpy as np

from synthgap.errors import DataError
from synthgap.evaluation.pairwise import squared_distances

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

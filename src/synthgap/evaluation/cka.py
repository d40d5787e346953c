"""Similarity of two representations of the same images: centred kernel alignment.

Linear CKA (Kornblith et al. 2019, eq. 4 with linear kernels), of debiased HSIC (Song et al. 2012,
eq. 5): with fewer images than features, which is the rule here, plain CKA calls independent
features similar. Everything goes through the images' Gram matrix, so that neither the width of a
layer nor the layout of its axes matters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synthgap.errors import DataError

FEWEST = 4  # images; the debiased estimate divides by n - 3
ROUNDING = 1e-6  # of the largest value: features that vary less, in float32, are constant


def centred_gram(features: np.ndarray, *, debiased: bool = True) -> np.ndarray:
    """Inner products of the images' features, centred: (num_images, num_images) float64.

    features: (num_images, num_features). Debiased, rows and columns sum to 0 beside an empty
    diagonal (U-centring, Szekely and Rizzo 2014), so that the inner product of two such matrices is
    n (n - 3) times the debiased HSIC; plain, H K H as in Kornblith et al.

    Raises:
        DataError: fewer than four images.
    """
    count = len(features)
    if count < FEWEST:
        raise DataError(f"CKA of {count} images; expected {FEWEST} or more")
    rows = np.asarray(features, dtype=np.float64)
    spread = rows - rows.mean(axis=0)  # debiased, changes nothing but the rounding of what follows
    if np.abs(spread).max() <= ROUNDING * np.abs(rows).max():
        return np.zeros((count, count))
    gram: np.ndarray = spread @ spread.T
    if not debiased:
        return gram
    np.fill_diagonal(gram, 0.0)
    sums = gram.sum(axis=0)
    gram -= (sums[:, None] + sums[None, :]) / (count - 2)
    gram += sums.sum() / ((count - 1) * (count - 2))
    np.fill_diagonal(gram, 0.0)
    return gram


def cka(first: np.ndarray, second: np.ndarray) -> float:
    """How alike two centred Gram matrices of the same images are.

    1 for equal up to rotation and scale, about 0 for unrelated, NaN where one is of features that
    do not tell images apart.

    Both are centred Gram matrices (num_images, num_images).
    """
    scale = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.vdot(first, second)) / scale if scale > 0 else float("nan")


def cka_matrix(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """CKA of every unit of one student with every unit of another, (num_first, num_second)."""
    return np.asarray([[cka(one, other) for other in second] for one in first])

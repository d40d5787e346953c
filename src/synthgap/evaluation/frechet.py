"""Distances between two sets' distributions of features: FID and KID, by torchmetrics.

Its metrics take features instead of images where their network passes on what it is given. Its
import takes seconds, so it happens when it is needed.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthgap.errors import DataError

if TYPE_CHECKING:
    from torch import nn

BLOCK = 1024
SUBSETS = 100
FEWEST = 2


@dataclass(frozen=True)
class KernelDistance:
    """KID: mean and std over random subsets of `subset` images."""

    mean: float
    std: float
    subset: int


def fid(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Frechet distance of two Gaussians fitted to the features (Heusel et al. 2017).

    Both are features, float (num_images, dim). It falls as sets grow: compare equal numbers.

    Raises:
        DataError: a set has fewer than two images, or features differ in length.
    """
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance

    _check(real, synthetic)
    metric = FrechetInceptionDistance(feature=_passing_on(real.shape[1]))
    metric.set_dtype(torch.float64)
    for features, is_real in ((real, True), (synthetic, False)):
        for start in range(0, len(features), BLOCK):
            block = torch.from_numpy(features[start : start + BLOCK].astype(np.float64))
            metric.update(block, real=is_real)
    return max(0.0, float(metric.compute()))


def kid(real: np.ndarray, synthetic: np.ndarray, *, subset: int, seed: int) -> KernelDistance:
    """Kernel distance of the features, cubic kernel (Binkowski et al. 2018): unbiased by size.

    Both are features, float (num_images, dim). `subset` is cut to what the smaller set has.

    Raises:
        DataError: a set has fewer than two images, or features differ in length.
    """
    import torch
    from torchmetrics.image.kid import KernelInceptionDistance

    _check(real, synthetic)
    size = min(subset, len(real), len(synthetic))
    with warnings.catch_warnings():  # it buffers features: we hold them anyway
        warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance` will save")
        metric = KernelInceptionDistance(
            feature=_passing_on(real.shape[1]), subsets=SUBSETS, subset_size=size
        )
    for features, is_real in ((real, True), (synthetic, False)):
        metric.update(torch.from_numpy(features.astype(np.float64)), real=is_real)
    with torch.random.fork_rng(devices=[]):  # it draws from torch's own stream
        torch.manual_seed(seed)
        mean, std = metric.compute()
    return KernelDistance(float(mean), float(std), size)


def _check(real: np.ndarray, synthetic: np.ndarray) -> None:
    if min(len(real), len(synthetic)) < FEWEST or real.shape[1] != synthetic.shape[1]:
        raise DataError(
            f"the distance between features of the shapes {real.shape} and {synthetic.shape}; "
            f"expected at least {FEWEST} images each, and as many features"
        )


def _passing_on(dim: int) -> nn.Module:
    """A network whose features of its input are its input."""
    from torch import nn

    network = nn.Identity()
    network.num_features = dim  # type: ignore[assignment]  # torchmetrics asks for it
    return network

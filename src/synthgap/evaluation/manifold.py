"""How much of one set lies where the other does: precision, recall, density, coverage, copies.

Every image stands for a ball of features that reaches to its k-th nearest neighbour in its own set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgap.evaluation.pairwise import nearest, radii, squared_distances


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


def authenticity(seen: np.ndarray, made: np.ndarray) -> float:
    """Share of made images that are no copies of what the generator saw (Alaa et al. 2022, 4).

    An image is one where it lies nearer to its nearest seen image than that one does to any other
    seen image. Images that know nothing of `seen` score well below 1 too: what real ones score is
    the number to compare with.

    Raises:
        DataError: there are fewer than two seen images, or features differ in length.
    """
    reach = radii(seen, neighbours=1)
    distances, closest = nearest(made, seen)
    return float((distances >= reach[closest]).mean())

"""Which images a smaller real set keeps: every kind gives an order, of which it keeps the start.

So smaller subsets lie in larger ones of the same seed. `uncertainty` and `coreset` are the choice
of whoever can look at many images and pay for few labels: they see a donor's view, never a label.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synthgap.errors import DataError
from synthgap.experiments.runs.features import StudentFeatures
from synthgap.params.students import Subset
from synthgap.seeding import stream


def subset(
    kind: Subset,
    labels: np.ndarray,
    denominator: int,
    *,
    seed: int,
    donor_features: Callable[[], StudentFeatures],
) -> np.ndarray:
    """Rising indices of 1/denominator of the images; equal seeds and donors give equal ones.

    labels: (num_images,) int64. `donor_features` gives the donor's view of them, if one is needed.
    """
    if kind == "stratified":
        return stratified(labels, denominator, seed=seed)
    if kind == "random":
        return random(len(labels), denominator, seed=seed)
    if kind == "uncertainty":
        return uncertainty(donor_features().logits, denominator)
    return coreset(donor_features().features, denominator)


def stratified(labels: np.ndarray, denominator: float, *, seed: int) -> np.ndarray:
    """Indices of 1/denominator of every class, at least one image each.

    labels: (num_images,) int64.
    """
    kept = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = stream(seed, "subset", int(label)).permutation(members)
        kept.append(order[: num_kept(len(members), denominator)])
    return np.sort(np.concatenate(kept))


def prefix(labels: np.ndarray, share: float) -> np.ndarray:
    """Indices of the first images of every class: `share` of it, at least one.

    labels: (num_images,) int64, of a set whose order tells nothing, such as a synthetic one's.
    """
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.sort(np.concatenate([each[: num_kept(len(each), 1 / share)] for each in members]))


def random(num_images: int, denominator: int, *, seed: int) -> np.ndarray:
    """Indices of 1/denominator of the images, drawn over all classes together.

    int64 (num_kept,), rising.
    """
    order = stream(seed, "subset").permutation(num_images)
    return np.sort(order[: num_kept(num_images, denominator)])


def uncertainty(logits: np.ndarray, denominator: int) -> np.ndarray:
    """Indices of the images whose predicted classes have the highest entropy (Settles 2009, 3.1.3).

    logits: (num_images, num_classes) of the donor.
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    entropy = -(np.exp(logs) * logs).sum(axis=1)
    order = np.argsort(-entropy, kind="stable")
    return np.sort(order[: num_kept(len(logits), denominator)])


def coreset(features: np.ndarray, denominator: int) -> np.ndarray:
    """Indices of images that leave no image far from all kept ones: greedy k-centre.

    Sener and Savarese 2018, algorithm 1, from the image nearest to the mean on. Its largest
    distance is at most twice the smallest possible one.
    features: (num_images, num_features) of the donor.
    """
    rows = features.astype(np.float64)
    first = int(_distances(rows, rows.mean(axis=0)).argmin())
    kept, nearest = [first], _distances(rows, rows[first])
    for _ in range(1, num_kept(len(rows), denominator)):
        nearest[kept[-1]] = -1.0  # copies of a kept image are 0 away, and may still be taken
        kept.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, _distances(rows, rows[kept[-1]]))
    return np.sort(np.asarray(kept))


def per_class(labels: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """Indices of `count` random images of every class; fewer are inside those of more.

    `labels`: (num_images,) int64; the indices are int64 (num_kept,).

    Raises:
        DataError: a class has fewer.
    """
    chosen = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        if len(own) < count:
            raise DataError(
                f"{count} images a class: class {int(label)} has {len(own)}; expected at least as "
                "many, lower it"
            )
        chosen.append(stream(seed, "per class", int(label)).permutation(own)[:count])
    return np.sort(np.concatenate(chosen))


def balanced(labels: np.ndarray, num_images: int, *, seed: int) -> np.ndarray:
    """Indices of at most `num_images`, equally many of every class where it has them.

    `labels`: (num_images,) int64; the indices are int64 (num_kept,).
    """
    classes = np.unique(labels)
    each = max(1, num_images // max(1, len(classes)))
    orders = [
        stream(seed, "balanced", int(label)).permutation(np.flatnonzero(labels == label))
        for label in classes
    ]
    return np.sort(np.concatenate([order[:each] for order in orders]))


def num_kept(num_images: int, denominator: float) -> int:
    """How many images 1/denominator of them are: rounded, at least one."""
    return max(1, round(num_images / denominator))


def _distances(rows: np.ndarray, centre: np.ndarray) -> np.ndarray:
    squared: np.ndarray = np.square(rows - centre).sum(axis=1)
    return squared

"""What a layer knows: logistic regression on its activations (Alain and Bengio 2016)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthgap.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sklearn.linear_model import LogisticRegression


STRENGTHS = (1.0, 10.0, 100.0, 1000.0)  # C of features whose mean squared norm is 1
TOLERANCE, MAX_ITERATIONS = 1e-6, 5000  # of the solver (L-BFGS): largest gradient entry at its end
HELD_OUT = 5  # without images to choose by, every fifth image of each class is held out


@dataclass(frozen=True)
class Examples:
    """Activations (num_images, num_features), floats, and labels (num_images,), int64."""

    features: np.ndarray
    labels: np.ndarray

    def at(self, kept: np.ndarray) -> Examples:
        """Keep the rows that an index or a mask names."""
        return Examples(self.features[kept], self.labels[kept])


@dataclass(frozen=True)
class Probe:
    """A fitted linear classifier; `strength` is the C that was chosen."""

    strength: float
    basis: _Basis
    model: LogisticRegression

    def top1(self, examples: Examples) -> float:
        """Accuracy in percent.

        Raises:
            DataError: there are no examples.
        """
        if not len(examples.labels):
            raise DataError("a probe was given no images to score; expected at least one")
        return 100 * float((self.predict(examples.features) == examples.labels).mean())

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The likeliest label of each image, (num_images,), from (num_images, num_features)."""
        found: np.ndarray = self.model.predict(self.basis(features))
        return found


def fit_probe(
    learned: Examples, *, chosen_by: Examples | None = None, strengths: Sequence[float] = STRENGTHS
) -> Probe:
    """Fit one probe a strength on `learned` and keep the best on `chosen_by`, the weaker of equals.

    Features are centred and scaled together, not each alone, and rotated into the span of the
    images, which an L2 penalty makes exact: the solution lies in it. Without `chosen_by`, a part of
    `learned` is held out for the choice, then all of it is learned.

    Raises:
        DataError: there are fewer than two classes to learn.
    """
    from threadpoolctl import threadpool_limits

    if len(np.unique(learned.labels)) < 2:
        raise DataError("a probe was given images of fewer than two classes; expected two or more")
    with threadpool_limits(1, user_api="blas"):  # forked neighbours would wait for each other
        return _chosen(learned, chosen_by, strengths)


def _chosen(learned: Examples, chosen_by: Examples | None, strengths: Sequence[float]) -> Probe:
    if chosen_by is not None and len(chosen_by.labels):
        return max(_fitted(learned, strengths), key=lambda probe: probe.top1(chosen_by))
    away = _every_fifth(learned.labels)
    fitted, rest = learned.at(~away), learned.at(away)
    best = max(_fitted(fitted, strengths), key=lambda probe: probe.top1(rest))
    return _fitted(learned, [best.strength])[0]


@dataclass(frozen=True)
class _Basis:
    mean: np.ndarray  # (num_features,)
    axes: np.ndarray  # (num_features, rank), scaled

    @classmethod
    def of(cls, features: np.ndarray) -> _Basis:
        rows = features.astype(np.float64)
        mean = rows.mean(axis=0)
        rows -= mean
        scale = np.sqrt(np.square(rows).sum(axis=1).mean())
        wide = rows.shape[1] > len(rows)
        axes = np.linalg.svd(rows, full_matrices=False)[2].T if wide else np.eye(rows.shape[1])
        return cls(mean, axes / (scale if scale > 0 else 1.0))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        rotated: np.ndarray = (features.astype(np.float64) - self.mean) @ self.axes
        return rotated


def _fitted(learned: Examples, strengths: Sequence[float]) -> list[Probe]:
    from sklearn.linear_model import LogisticRegression

    basis = _Basis.of(learned.features)
    rows = basis(learned.features)
    # Each strength starts from the solution of the one before, which takes fewer steps.
    model = LogisticRegression(tol=TOLERANCE, max_iter=MAX_ITERATIONS, warm_start=True)
    probes = []
    for strength in strengths:
        model.set_params(C=strength).fit(rows, learned.labels)
        probes.append(Probe(strength, basis, deepcopy(model)))
    return probes


def _every_fifth(labels: np.ndarray) -> np.ndarray:
    away = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        away[np.flatnonzero(labels == label)[1::HELD_OUT]] = True
    return away


STRENGTH = 1.0  # C, of features whose mean squared norm is 1
FOLDS = 5
FEWEST = 2 * FOLDS  # images of each kind


def separability(real: np.ndarray, synthetic: np.ndarray) -> float | None:
    """Accuracy in percent at telling them apart, cross-validated: 50 where they are inseparable.

    Both are features, float (num_images, dim); as many of each are used, evenly spaced. None for
    fewer than ten of either: five folds would tell nothing.
    """
    count = min(len(real), len(synthetic))
    if count < FEWEST:
        return None
    kinds = [part[evenly(len(part), count)] for part in (real, synthetic)]
    examples = Examples(np.concatenate(kinds), np.repeat([0, 1], count))
    fold = np.tile(np.arange(count) % FOLDS, 2)
    scores = []
    for held in range(FOLDS):
        away = fold == held
        # One strength is no choice: the held-out part only scores.
        probe = fit_probe(examples.at(~away), chosen_by=examples.at(away), strengths=(STRENGTH,))
        scores.append(probe.top1(examples.at(away)))
    return float(np.mean(scores))


def evenly(total: int, count: int) -> np.ndarray:
    """Rising indices of `count` of `total` things, evenly spaced; all where there are no more.

    Returns int64 (num_kept,).
    """
    return np.linspace(0, total - 1, min(count, total)).round().astype(np.int64)

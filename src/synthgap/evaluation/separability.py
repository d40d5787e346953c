"""Can real images be told from synthetic ones? Logistic regression on their features."""

from __future__ import annotations

import numpy as np

from synthgap.evaluation.probe import Examples, fit_probe

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
    """Rising indices of `count` of `total` things, evenly spaced; all where there are no more."""
    return np.linspace(0, total - 1, min(count, total)).round().astype(np.int64)

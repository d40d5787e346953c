"""Logistic regression over several classes, with an L2 penalty on its weights.

The solution of scikit-learn's `LogisticRegression(C=strength)`, on scipy alone: importing
scikit-learn's takes a process longer than fitting ten of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_ITERATIONS = 5000
GRADIENT = 1e-6  # largest entry of the mean loss's gradient at the solution


@dataclass(frozen=True)
class Logistic:
    """Class c scores `rows @ weights[c] + intercepts[c]`."""

    labels: np.ndarray  # (num_classes,) int64, rising
    weights: np.ndarray  # (num_classes, dim)
    intercepts: np.ndarray  # (num_classes,)

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Probabilities (num_rows, num_classes) of `rows` (num_rows, dim)."""
        return np.asarray(np.exp(_log_softmax(rows @ self.weights.T + self.intercepts)))

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """The likeliest label of each row, (num_rows,)."""
        found: np.ndarray = self.labels[(rows @ self.weights.T + self.intercepts).argmax(axis=1)]
        return found


def fit_logistic(
    rows: np.ndarray, labels: np.ndarray, *, strength: float, start: Logistic | None = None
) -> Logistic:
    """Minimise `strength` x summed cross-entropy + half the squared weights (L-BFGS).

    rows: (num_rows, dim) float64. labels: (num_rows,) of two classes or more. From `start`, a
    solution of the same classes, fewer steps are needed.
    """
    from scipy.optimize import minimize  # type: ignore[import-untyped] # scipy ships no types

    known, places = np.unique(labels, return_inverse=True)
    num_rows, dim = rows.shape
    # Of two classes scikit-learn penalises the difference of their weights, twice as much.
    decay = (2 if len(known) == 2 else 1) / (strength * num_rows)
    first = np.arange(num_rows)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, intercepts = _parts(flat, dim)
        logs = _log_softmax(rows @ weights.T + intercepts)
        value = decay / 2 * np.square(weights).sum() - logs[first, places].mean()
        errors = np.exp(logs)
        errors[first, places] -= 1
        slope = np.hstack([errors.T @ rows, errors.sum(axis=0)[:, None]]) / num_rows
        slope[:, :-1] += decay * weights
        return float(value), slope.ravel()

    begin = np.zeros((len(known), dim + 1))
    if start is not None:
        begin = np.hstack([start.weights, start.intercepts[:, None]])
    limits = {"maxiter": MAX_ITERATIONS, "maxfun": 2 * MAX_ITERATIONS, "gtol": GRADIENT, "ftol": 0}
    found = minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options=limits)
    weights, intercepts = _parts(found.x, dim)
    return Logistic(known, weights, intercepts)


def _parts(flat: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    table = flat.reshape(-1, dim + 1)
    return table[:, :-1], table[:, -1]


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs

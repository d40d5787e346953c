import numpy as np
import pytest

from synthgap.evaluation.logistic import fit_logistic

DRAW = np.random.default_rng(3)


def rows_of(labels, noise=1.0):
    return DRAW.normal(size=(8, 5))[labels] + noise * DRAW.normal(size=(len(labels), 5))


@pytest.mark.parametrize(("values", "strength"), [((2, 5, 7), 1.0), ((2, 5, 7), 50.0), ((0, 1), 3)])
def test_the_solution_is_scikit_learns(values, strength):
    from sklearn.linear_model import LogisticRegression

    labels = DRAW.choice(values, size=90)
    rows = rows_of(labels)
    found = fit_logistic(rows, labels, strength=strength)
    theirs = LogisticRegression(C=strength, tol=1e-9, max_iter=5000).fit(rows, labels)
    assert found.predict_proba(rows) == pytest.approx(theirs.predict_proba(rows), abs=2e-4)
    assert (found.predict(rows) == theirs.predict(rows)).all()


def test_an_earlier_solution_is_only_a_start():
    labels = DRAW.choice((0, 1, 2), size=60)
    rows = rows_of(labels)
    weak = fit_logistic(rows, labels, strength=0.1)
    cold = fit_logistic(rows, labels, strength=10.0)
    warm = fit_logistic(rows, labels, strength=10.0, start=weak)
    assert warm.predict_proba(rows) == pytest.approx(cold.predict_proba(rows), abs=1e-4)
    assert abs(weak.weights).max() < abs(cold.weights).max()


def test_scores_of_any_size_give_probabilities():
    labels = np.repeat([0, 1], 10)
    rows = 1e4 * rows_of(labels, noise=0.1)
    shares = fit_logistic(rows, labels, strength=1e6).predict_proba(rows)
    assert np.isfinite(shares).all()
    assert shares.sum(axis=1) == pytest.approx(1.0)

import numpy as np
import pytest

from synthgap.errors import DataError
from synthgap.evaluation.cka import centred_gram, cka, cka_matrix

DRAW = np.random.default_rng(3)
FEATURES = DRAW.normal(size=(60, 12)) * np.linspace(0.2, 3, 12) + 5


def similarity(first, second, **options):
    return cka(centred_gram(first, **options), centred_gram(second, **options))


@pytest.mark.parametrize("debiased", [True, False])
def test_rotation_scale_and_shift_change_nothing(debiased):
    rotation = np.linalg.qr(DRAW.normal(size=(12, 12)))[0]
    moved = 7 * FEATURES @ rotation - 40
    assert similarity(FEATURES, moved, debiased=debiased) == pytest.approx(1)


def test_another_linear_map_changes_it():
    stretched = FEATURES * np.where(np.arange(12) < 6, 5.0, 0.1)
    assert 0 < similarity(FEATURES, stretched) < 0.9


def test_plain_cka_is_the_published_formula():
    other = FEATURES[:, :5] + DRAW.normal(size=(60, 5))
    x, y = FEATURES - FEATURES.mean(axis=0), other - other.mean(axis=0)
    wanted = np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert similarity(FEATURES, other, debiased=False) == pytest.approx(wanted)


def test_debiased_hsic_is_the_published_estimate():
    """Song et al. 2012, eq. 5, term by term."""
    one, two = FEATURES, DRAW.normal(size=(60, 4))
    k, l = (np.where(np.eye(60), 0.0, part @ part.T) for part in (one, two))  # noqa: E741
    ones, n = np.ones(60), 60
    terms = (
        np.trace(k @ l)
        + (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (ones @ k @ l @ ones)
    )
    assert np.vdot(centred_gram(one), centred_gram(two)) == pytest.approx(terms)


def test_independent_wide_features_are_unlike_only_when_debiased():
    one, two = (DRAW.normal(size=(50, 2000)) for _ in range(2))
    assert similarity(one, two, debiased=False) > 0.9
    assert abs(similarity(one, two)) < 0.1


def test_the_matrix_holds_every_pair():
    grams = [centred_gram(FEATURES[:, start:]) for start in (0, 4, 8)]
    matrix = cka_matrix(grams, grams[:2])
    assert matrix.shape == (3, 2)
    assert np.diag(matrix) == pytest.approx([1, 1])
    assert matrix[2, 0] == pytest.approx(cka(grams[2], grams[0]))


def test_constant_features_have_no_similarity():
    assert np.isnan(similarity(np.full((10, 3), 0.1, dtype=np.float32), FEATURES[:10]))


def test_too_few_images_are_refused():
    with pytest.raises(DataError, match="3 images"):
        centred_gram(np.ones((3, 2)))

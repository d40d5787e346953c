"""Vendi score and mean distance: their laws."""

import numpy as np
import pytest

from synthgap.errors import DataError
from synthgap.evaluation.manifold import mean_distance, vendi


@pytest.mark.parametrize("count", [1, 3, 12])
def test_images_all_alike_are_one(count):
    assert vendi(np.tile([0.2, 3.0, 1.0], (count, 1))) == pytest.approx(1)


@pytest.mark.parametrize("length", [0.5, 7.0])
def test_images_with_nothing_in_common_are_as_many_as_they_are(length):
    assert vendi(length * np.eye(6)) == pytest.approx(6)
    assert vendi(np.repeat(length * np.eye(6), 10, axis=0)) == pytest.approx(6)


def test_more_images_than_features_and_fewer_give_the_entropy_of_the_kernel():
    draw = np.random.default_rng(2)
    for shape in ((30, 5), (5, 30)):
        features = np.abs(draw.normal(size=shape))
        rows = features / np.linalg.norm(features, axis=1, keepdims=True)
        values = np.linalg.eigvalsh(rows @ rows.T / len(rows)).clip(1e-300)
        assert vendi(features) == pytest.approx(np.exp(-(values * np.log(values)).sum()))


def test_mean_distance_is_over_pairs_of_different_images():
    draw = np.random.default_rng(4)
    features = draw.normal(size=(9, 3))
    pairs = [np.linalg.norm(a - b) for i, a in enumerate(features) for b in features[:i]]
    assert mean_distance(features) == pytest.approx(np.mean(pairs))
    assert mean_distance(2 * features) == pytest.approx(2 * np.mean(pairs))


def test_nothing_has_no_diversity():
    with pytest.raises(DataError, match="Vendi score of 0 images"):
        vendi(np.empty((0, 3)))
    with pytest.raises(DataError, match="1 of them with features that are all 0"):
        vendi(np.asarray([[1.0, 2.0], [0.0, 0.0]]))
    with pytest.raises(DataError, match="expected two or more"):
        mean_distance(np.ones((1, 3)))

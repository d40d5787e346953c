"""Distances in blocks are the distances."""

import numpy as np
import pytest

from synthgap.errors import DataError
from synthgap.evaluation import manifold
from synthgap.evaluation.manifold import nearest, radii, squared_distances


@pytest.fixture
def narrow(monkeypatch):
    """Blocks of a few rows, so that there are many."""
    monkeypatch.setattr(manifold, "ROWS", 7)
    monkeypatch.setattr(manifold, "COLUMNS", 5)


@pytest.mark.usefixtures("narrow")
def test_blocks_change_nothing():
    draw = np.random.default_rng(0)
    first, second = draw.normal(size=(23, 3)) + 1000, draw.normal(size=(17, 3)) + 1000
    expected = np.square(first[:, None] - second[None]).sum(-1)
    found = np.concatenate([block for _, block in squared_distances(first, second)])
    assert found == pytest.approx(expected, rel=1e-9)
    distances, indices = nearest(first, second)
    assert indices.tolist() == expected.argmin(1).tolist()
    assert distances == pytest.approx(expected.min(1))


@pytest.mark.usefixtures("narrow")
def test_a_copy_is_at_distance_0_and_an_image_is_no_neighbour_of_itself():
    draw = np.random.default_rng(1)
    features = draw.normal(size=(20, 3)).astype(np.float32) + 50
    features[11] = features[2]
    squared = np.concatenate([block for _, block in squared_distances(features, features)])
    assert not np.diag(squared).any()
    nearby = radii(features, neighbours=1)
    assert (nearby == 0).nonzero()[0].tolist() == [2, 11]


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="as many features"):
        next(squared_distances(np.ones((3, 2)), np.ones((3, 4))))
    with pytest.raises(DataError, match="at least one image each"):
        next(squared_distances(np.ones((0, 2)), np.ones((3, 2))))

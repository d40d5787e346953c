"""Precision, recall, density, coverage, authenticity: laws, and the definitions written slowly."""

import numpy as np
import pytest

from synthgap.errors import DataError
from synthgap.evaluation.manifold import authenticity, manifold


def _apart(first, second):
    return np.asarray([[np.linalg.norm(one - other) for other in second] for one in first])


def _reach(features, k):
    return np.asarray([sorted(row)[k] for row in _apart(features, features)])


@pytest.fixture(scope="module")
def sets():
    draw = np.random.default_rng(5)
    real = draw.normal(size=(70, 4)).astype(np.float32)
    return real, (draw.normal(size=(50, 4)) * 0.8 + 0.6).astype(np.float32)


@pytest.mark.parametrize("k", [1, 3])
def test_they_are_what_they_are_defined_to_be(sets, k):
    real, made = sets
    apart, balls, reach = _apart(made, real), _reach(real, k), _reach(made, k)
    found = manifold(real, made, neighbours=k)
    assert found.precision == pytest.approx(np.mean([(row <= balls).any() for row in apart]))
    assert found.recall == pytest.approx(np.mean([(row <= reach).any() for row in apart.T]))
    assert found.density == pytest.approx(np.mean([(row <= balls).sum() for row in apart]) / k)
    assert found.coverage == pytest.approx(
        np.mean([(row <= ball).any() for row, ball in zip(apart.T, balls, strict=True)])
    )
    assert 0 < found.precision < 1
    assert 0 < found.coverage < 1


def test_a_set_covers_itself(sets):
    found = manifold(sets[0], sets[0], neighbours=3)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density == pytest.approx(4 / 3)  # an image's own ball beside k others


def test_sets_far_apart_share_nothing(sets):
    found = manifold(sets[0], sets[1] + 100, neighbours=3)
    assert (found.precision, found.recall, found.density, found.coverage) == (0, 0, 0, 0)


def test_one_image_again_and_again_is_precise_and_covers_next_to_nothing(sets):
    real = sets[0]
    found = manifold(real, np.repeat(real[:1], 50, axis=0), neighbours=3)
    assert found.precision == 1
    assert found.recall == pytest.approx(1 / len(real))  # its balls have no size
    assert found.coverage < 0.2


def test_copies_are_not_authentic_and_unrelated_images_are(sets):
    real = sets[0]
    assert authenticity(real, real + np.float32(1e-3)) == 0
    assert authenticity(real, real + 100) == 1
    half = np.concatenate([real[:10], real[:10] + 100])
    assert authenticity(real, half) == 0.5


def test_authenticity_is_what_it_is_defined_to_be(sets):
    seen, made = sets
    apart, reach = _apart(made, seen), _reach(seen, 1)
    expected = np.mean([row.min() >= reach[row.argmin()] for row in apart])
    assert authenticity(seen, made) == pytest.approx(expected)
    assert 0 < expected < 1


def test_too_few_images_for_so_many_neighbours_are_refused(sets):
    with pytest.raises(DataError, match="5 images; expected more than the 5 neighbours"):
        manifold(sets[0][:5], sets[1], neighbours=5)

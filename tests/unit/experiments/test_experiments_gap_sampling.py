"""Which images the sampling experiment adds: laws of the choice by loss."""

import numpy as np
import pytest

from synthgap.experiments.gap.sampling import by_loss


@pytest.fixture(scope="module")
def pool():
    draw = np.random.default_rng(4)
    return draw.exponential(size=90), np.repeat([0, 1, 2], [40, 30, 20])


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_no_image_left_out_has_a_lower_loss_than_one_kept(pool, share):
    losses, labels = pool
    kept = by_loss(losses, labels, share, highest=False)
    assert np.bincount(labels[kept]).tolist() == [round(n * share) for n in (40, 30, 20)]
    for label in range(3):
        inside = [i for i in range(90) if labels[i] == label and i in set(kept.tolist())]
        outside = [i for i in range(90) if labels[i] == label and i not in set(kept.tolist())]
        assert max(losses[inside]) < min(losses[outside])


def test_low_and_high_halves_are_disjoint_and_all(pool):
    low, high = (by_loss(*pool, 0.5, highest=highest) for highest in (False, True))
    assert sorted([*low, *high]) == list(range(90))


def test_highest_of_losses_is_lowest_of_their_opposites(pool):
    losses, labels = pool
    kept = by_loss(losses, labels, 0.3, highest=True)
    assert (kept == by_loss(-losses, labels, 0.3, highest=False)).all()


def test_more_contain_less_and_every_class_keeps_one(pool):
    losses, labels = pool
    sets = [set(by_loss(losses, labels, s, highest=True).tolist()) for s in (0.01, 0.2, 0.6)]
    assert sets[0] < sets[1] < sets[2]
    assert sorted(labels[sorted(sets[0])]) == [0, 1, 2]


def test_equal_losses_keep_the_first(pool):
    assert by_loss(np.ones(8), np.zeros(8, int), 0.5, highest=True).tolist() == [0, 1, 2, 3]

import itertools

import numpy as np
import pytest

from synthgap.experiments.runs.features import StudentFeatures
from synthgap.experiments.runs.subsets import balanced, coreset, prefix, subset, uncertainty

LABELS = np.repeat(np.arange(5), 20)
DRAW = np.random.default_rng(2)
VIEW = StudentFeatures(features=DRAW.normal(size=(100, 6)), logits=DRAW.normal(size=(100, 5)))
KINDS = ("stratified", "random", "uncertainty", "coreset")


def kept(kind, denominator, *, labels=LABELS, seed=1, view=VIEW):
    return subset(kind, labels, denominator, seed=seed, donor_features=lambda: view)


@pytest.mark.parametrize("kind", KINDS)
def test_smaller_subsets_lie_in_larger_ones(kind):
    sets = [set(kept(kind, share).tolist()) for share in (1, 2, 4, 8)]
    assert len(sets[0]) == 100
    for larger, smaller in itertools.pairwise(sets):
        assert smaller < larger


def test_prefixes_are_the_first_of_every_class_and_nest():
    labels = np.array([1, 0, 1, 0, 0, 1, 0])
    assert prefix(labels, 0.5).tolist() == [0, 1, 2, 3]
    assert set(prefix(labels, 0.25)) <= set(prefix(labels, 0.5))
    assert prefix(labels, 0.01).tolist() == [0, 1]
    assert prefix(labels, 1.0).tolist() == list(range(7))


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_take_equal_images(kind):
    assert kept(kind, 4).tolist() == kept(kind, 4).tolist()
    assert (np.diff(kept(kind, 4)) > 0).all()


@pytest.mark.parametrize("kind", ["uncertainty", "coreset"])
def test_what_asks_the_donor_never_sees_a_label(kind):
    shuffled = DRAW.permutation(LABELS)
    assert kept(kind, 4).tolist() == kept(kind, 4, labels=shuffled, seed=9).tolist()


@pytest.mark.parametrize("kind", ["stratified", "random"])
def test_other_seeds_take_other_images(kind):
    assert kept(kind, 4, view=None).tolist() != kept(kind, 4, seed=2, view=None).tolist()


def test_stratified_takes_every_class_alike():
    assert np.bincount(LABELS[kept("stratified", 4)]).tolist() == [5] * 5


def test_every_class_keeps_one_image():
    assert sorted(LABELS[kept("stratified", 1000)].tolist()) == [0, 1, 2, 3, 4]


def test_the_least_certain_images_come_first():
    logits = np.stack([np.arange(10.0), np.zeros(10)], axis=1)  # surer from image to image
    assert uncertainty(logits, 5).tolist() == [0, 1]
    assert uncertainty(logits + 1000, 5).tolist() == [0, 1]


def test_a_coreset_has_an_image_of_every_group():
    groups = np.repeat(np.arange(4), 25)
    features = 100 * np.eye(4)[groups] + DRAW.normal(size=(100, 4))
    assert sorted(groups[coreset(features, 25)].tolist()) == [0, 1, 2, 3]


def test_greedy_k_centre_is_at_most_twice_the_best_cover():
    features = DRAW.normal(size=(12, 2))
    distances = np.linalg.norm(features[:, None] - features[None], axis=2)

    def reach(chosen):
        return distances[:, list(chosen)].min(axis=1).max()

    best = min(reach(chosen) for chosen in itertools.combinations(range(12), 3))
    assert best <= reach(coreset(features, 4)) <= 2 * best


def test_copies_of_an_image_can_all_be_kept():
    assert coreset(np.zeros((6, 2)), 1).tolist() == [0, 1, 2, 3, 4, 5]


def test_balanced_takes_equally_many_of_every_class():
    labels = np.concatenate([LABELS, [7, 7]])
    counts = np.bincount(labels[balanced(labels, 30, seed=1)], minlength=8)
    assert counts.tolist() == [5, 5, 5, 5, 5, 0, 0, 2]
    assert len(balanced(LABELS, 1000, seed=1)) == 100

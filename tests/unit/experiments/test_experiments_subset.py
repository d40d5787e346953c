import itertools

import numpy as np
import pytest

from synthgap.experiments.plan import donor_seed, scale_of
from synthgap.experiments.sources import subset
from synthgap.params.sections import Reduce

LABELS = np.repeat(np.arange(5), 20)


def reduce(kind):
    return Reduce(guidance_scale=2.0, seeds=(0,), subset=kind, budget="epochs")


@pytest.mark.parametrize("kind", ["stratified", "uniform"])
def test_smaller_subsets_lie_in_larger_ones(kind):
    kept = [set(subset(LABELS, share, reduce(kind), seed=1).tolist()) for share in (1, 2, 4, 8)]
    assert len(kept[0]) == 100
    for larger, smaller in itertools.pairwise(kept):
        assert smaller < larger


def test_stratified_takes_every_class_alike():
    kept = LABELS[subset(LABELS, 4, reduce("stratified"), seed=1)]
    assert np.bincount(kept).tolist() == [5] * 5


def test_every_class_keeps_one_image():
    kept = LABELS[subset(LABELS, 1000, reduce("stratified"), seed=1)]
    assert sorted(kept.tolist()) == [0, 1, 2, 3, 4]


def test_other_seeds_take_other_images():
    first, second = (subset(LABELS, 4, reduce("stratified"), seed=seed) for seed in (1, 2))
    assert first.tolist() != second.tolist()


def test_a_donor_never_starts_where_its_student_starts():
    assert [donor_seed((0, 1, 2), seed) for seed in (0, 1, 2)] == [1, 2, 0]


def test_a_sets_name_tells_its_guidance_scale():
    assert scale_of("g7.5") == 7.5
    assert scale_of("train") is None

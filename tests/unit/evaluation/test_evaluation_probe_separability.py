"""Telling real from synthetic by their features."""

import numpy as np
import pytest

from synthgap.evaluation.probe import FEWEST, evenly, separability


def test_two_samples_of_one_thing_cannot_be_told_apart():
    draw = np.random.default_rng(0)
    whole = draw.normal(size=(800, 5))
    assert separability(whole[:400], whole[400:]) == pytest.approx(50, abs=6)


def test_two_things_can():
    draw = np.random.default_rng(0)
    real = draw.normal(size=(40, 5))
    assert separability(real, draw.normal(size=(90, 5)) + 6) == 100


def test_a_set_cannot_be_told_from_itself():
    features = np.random.default_rng(1).normal(size=(40, 30))
    found = separability(features, features)
    assert found is not None
    assert found <= 50  # an image's twin of the other kind is held out with it


def test_too_few_images_tell_nothing():
    features = np.random.default_rng(1).normal(size=(FEWEST, 3))
    assert separability(features, features[:-1]) is None
    assert separability(features, features + 9) == 100


def test_evenly_spaced():
    assert evenly(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly(3, 10).tolist() == [0, 1, 2]

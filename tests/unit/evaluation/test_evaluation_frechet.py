"""FID and KID by torchmetrics against the formulas, and their laws."""

import numpy as np
import pytest

from synthgap.errors import DataError
from synthgap.evaluation.frechet import fid, kid


@pytest.fixture(scope="module")
def sets():
    draw = np.random.default_rng(3)
    mixing = draw.normal(size=(6, 6))
    real = (draw.normal(size=(300, 6)) @ mixing + 4).astype(np.float32)
    return real, (draw.normal(size=(200, 6)) @ (mixing * 1.3) + 4.5).astype(np.float32)


def test_fid_is_the_formula(sets):
    scipy_linalg = pytest.importorskip("scipy.linalg")
    first, second = (np.cov(part.astype(np.float64), rowvar=False) for part in sets)
    apart = np.square(sets[0].mean(0, dtype=np.float64) - sets[1].mean(0, dtype=np.float64)).sum()
    root = scipy_linalg.sqrtm(first @ second).real
    expected = apart + np.trace(first + second - 2 * root)
    assert fid(*sets) == pytest.approx(expected, rel=1e-6)


def test_a_set_is_at_no_distance_from_itself_however_few_its_images(sets):
    for features in (sets[0], sets[0][:4]):  # fewer images than features, too
        assert fid(features, features) == pytest.approx(0, abs=1e-4)


def test_a_shift_costs_its_squared_length(sets):
    moved = sets[0] + np.float32([3, 0, 0, 4, 0, 0])
    assert fid(sets[0], moved) == pytest.approx(25, rel=1e-4)


def test_kid_is_the_unbiased_mmd_of_the_cubic_kernel(sets):
    real, made = (part[:150].astype(np.float64) for part in sets)

    def kernel(one, other):
        return (one @ other.T / one.shape[1] + 1) ** 3

    def apart(gram):
        return (gram.sum() - np.trace(gram)) / (len(gram) * (len(gram) - 1))

    expected = apart(kernel(real, real)) + apart(kernel(made, made)) - 2 * kernel(real, made).mean()
    found = kid(real, made, subset=1000, seed=0)
    assert found.mean == pytest.approx(expected, rel=1e-6)  # a subset of all is all
    assert found.std == pytest.approx(0, abs=1e-9)
    assert found.subset == 150


def test_kid_of_two_samples_of_one_thing_is_about_0(sets):
    whole = sets[0]
    same = kid(whole[::2], whole[1::2], subset=100, seed=0)
    other = kid(*sets, subset=100, seed=0)
    assert abs(same.mean) < 3 * same.std < other.mean
    assert kid(*sets, subset=100, seed=0) == other
    assert kid(*sets, subset=100, seed=1) != other


def test_kid_leaves_torchs_stream_alone(sets):
    import torch

    before = torch.random.get_rng_state()
    kid(*sets, subset=50, seed=0)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("other", [np.ones((5, 7)), np.ones((1, 6)), np.ones((0, 6))])
def test_features_that_cannot_be_compared_are_refused(sets, other):
    for distance in (fid, lambda *two: kid(*two, subset=5, seed=0)):
        with pytest.raises(DataError, match="at least 2 images each, and as many features"):
            distance(sets[0], other)

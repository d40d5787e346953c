import numpy as np
import pytest

from synthgap.errors import DataError
from synthgap.evaluation import interval, intervals, replicates


def _shares(*accuracies, num_images=400):
    rng = np.random.default_rng(0)
    return np.stack([(rng.random(num_images) < accuracy).astype(float) for accuracy in accuracies])


def test_equal_series_differ_by_exactly_nothing():
    shares = np.repeat(_shares(0.7), 2, axis=0)
    drawn = replicates(shares, resamples=300, seed=1)
    assert np.array_equal(drawn[0], drawn[1])
    assert np.unique(drawn[0]).size > 10  # while each of them does vary


def test_same_seed_same_draws_other_seed_others():
    shares = _shares(0.8)
    first, again, other = (replicates(shares, resamples=200, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_series_is_resampled_alike_whoever_is_beside_it():
    shares = _shares(0.6, 0.9)
    both = replicates(shares, resamples=200, seed=1)
    alone = replicates(shares[1:], resamples=200, seed=1)
    assert np.array_equal(both[1], alone[0])


def test_chunks_do_not_change_the_draws(monkeypatch):
    shares = _shares(0.6, 0.9)
    whole = replicates(shares, resamples=101, seed=1)
    monkeypatch.setattr(intervals, "CHUNK_CELLS", 400 * 7)
    assert np.array_equal(whole, replicates(shares, resamples=101, seed=1))


def test_replicates_are_means_of_images_that_were_drawn():
    drawn = replicates(np.asarray([[0.0, 1.0]]), resamples=500, seed=3)
    assert set(np.unique(drawn)) == {0.0, 0.5, 1.0}


def test_interval_agrees_with_the_binomial_standard_error():
    drawn = replicates(_shares(0.8), resamples=4000, seed=1)[0]
    width = interval(drawn, confidence=0.95)
    accuracy = _shares(0.8).mean()
    expected = 2 * 1.96 * np.sqrt(accuracy * (1 - accuracy) / 400)
    assert width.high - width.low == pytest.approx(expected, rel=0.1)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(7)
    hits = 0
    for trial in range(200):
        shares = (rng.random((1, 300)) < 0.8).astype(float)
        found = interval(replicates(shares, resamples=300, seed=trial)[0], confidence=0.9)
        hits += found.low <= 0.8 <= found.high
    assert 165 <= hits <= 195  # 180 expected, sd 4.2


def test_pairing_narrows_the_difference_of_correlated_series():
    base = _shares(0.8)[0]
    near = base.copy()
    near[:8] = 0.0
    drawn = replicates(np.stack([base, near]), resamples=1000, seed=1)
    paired = interval(drawn[0] - drawn[1], confidence=0.95)
    alone = interval(drawn[0], confidence=0.95)
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def test_infinite_replicates_give_infinite_bounds_not_nonsense():
    values = np.asarray([1.0] * 50 + [np.inf] * 50)
    assert interval(values, confidence=0.9).high == np.inf
    assert interval(values, confidence=0.9).low == 1.0


@pytest.mark.parametrize("values", [np.asarray([]), np.asarray([1.0, np.nan])])
def test_interval_of_nothing_is_refused(values):
    with pytest.raises(DataError):
        interval(values, confidence=0.9)


def test_no_images_are_refused():
    with pytest.raises(DataError, match="at least one image"):
        replicates(np.empty((2, 0)), resamples=10, seed=0)

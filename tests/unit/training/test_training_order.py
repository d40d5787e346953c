import numpy as np
import torch

from synthgap.training.order import Mixture, batches


def mixed(share, *, redraw=True, num_images=20):
    return Mixture(20, 30, share, num_images, redraw, seed=1)


def test_batches_cover_an_epoch_once_and_go_on_when_asked():
    pool = np.arange(20)
    once = torch.cat(list(batches(pool, 5, num_steps=4, seed=1, epoch=1)))
    assert sorted(once.tolist()) == list(range(20))
    longer = list(batches(pool, 6, num_steps=10, seed=1, epoch=1))
    assert [len(batch) for batch in longer] == [6] * 10
    other = torch.cat(list(batches(pool, 5, num_steps=4, seed=1, epoch=2)))
    assert not torch.equal(once, other)


def test_shares_0_and_1_are_the_pure_sets():
    assert np.array_equal(mixed(1.0).indices(1), np.arange(20))
    assert np.array_equal(mixed(0.0, num_images=30).indices(1), np.arange(20, 50))


def test_a_share_is_kept_in_every_epoch():
    for epoch in (1, 2, 3):
        indices = mixed(0.25).indices(epoch)
        assert len(indices) == len(set(indices)) == 20
        assert (indices < 20).sum() == 5


def test_fixed_mixing_shows_the_same_images_and_redrawing_does_not():
    fixed = mixed(0.5, redraw=False)
    assert np.array_equal(fixed.indices(1), fixed.indices(2))
    assert not np.array_equal(mixed(0.5).indices(1), mixed(0.5).indices(2))
    assert fixed.num_real_seen == 10
    assert mixed(0.5).num_real_seen == 20


def test_more_than_there_are_repeat_evenly():
    counts = np.bincount(mixed(1.0, num_images=50).indices(1), minlength=20)
    assert set(counts.tolist()) == {2, 3}

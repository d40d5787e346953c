import numpy as np
import torch

from synthgap.training.batch_samplers import (
    BalancedBatchSampler,
    MixtureBatchSampler,
    ShuffleBatchSampler,
    shuffled_batches,
)


def mixed(share, *, redraw=True, num_images=20):
    return MixtureBatchSampler(20, 30, share, num_images, redraw, seed=1)


def test_batches_cover_an_epoch_once_and_go_on_when_asked():
    pool = np.arange(20)
    once = torch.cat(list(shuffled_batches(pool, 5, num_steps=4, seed=1, epoch=1)))
    assert sorted(once.tolist()) == list(range(20))
    longer = list(shuffled_batches(pool, 6, num_steps=10, seed=1, epoch=1))
    assert [len(batch) for batch in longer] == [6] * 10
    other = torch.cat(list(shuffled_batches(pool, 5, num_steps=4, seed=1, epoch=2)))
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


def test_halves_hold_both_kinds_in_every_part_of_a_batch():
    order = BalancedBatchSampler(num_real=10, num_synthetic=40, real_share=0.5)
    for batch in order.batches(20, num_steps=3, seed=1, epoch=1):
        assert [(part < 10).sum().item() for part in batch.chunk(2)] == [5, 5]
        assert len(set(batch.tolist())) == 20


def test_halves_show_every_image_before_any_twice():
    order = BalancedBatchSampler(num_real=9, num_synthetic=40, real_share=0.2)
    indices = torch.cat(list(order.batches(10, num_steps=10, seed=1, epoch=1)))
    counts = np.bincount(indices.numpy(), minlength=49)
    assert set(counts[:9].tolist()) == {2, 3}
    assert set(counts[9:].tolist()) == {2}


def test_halves_never_leave_a_kind_out():
    for share in (0.001, 0.999):
        (batch,) = BalancedBatchSampler(5, 50, share).batches(4, num_steps=1, seed=1, epoch=1)
        assert 1 <= (batch < 5).sum() <= 3


def test_a_stretch_is_shuffled_and_nothing_else():
    batches_of = ShuffleBatchSampler(5, 9).batches(2, num_steps=2, seed=1, epoch=1)
    assert sorted(torch.cat(list(batches_of)).tolist()) == [5, 6, 7, 8]

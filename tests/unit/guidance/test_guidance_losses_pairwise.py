"""Pretrained Guidance beside loops over pairs of images in float64, values and gradients."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from synthgap.guidance.losses import pairwise_loss, pairwise_similarities
from synthgap.params.guidance import Pg, Weights

PG = Pg("tutor", None, None, "cosine", "kl", 1.0, Weights(1.0, 1.0))
EVERY = [
    pytest.param(replace(PG, distance=distance, similarity=similarity, temperature=temperature),
                 id=f"{distance}-{similarity}-{temperature}")
    for distance, similarity, temperature in [
        ("cosine", "l1", 1.0), ("cosine", "kl", 1.0), ("cosine", "kl", 0.2),
        ("l2", "l1", 1.0), ("l2", "kl", 1.0), ("l2", "kl", 3.0),
    ]
]  # fmt: skip


def features(count, dim, seed):
    return torch.randn(
        count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def slow_near(features, i, j, distance):
    """delta of protocol.md 5, one number at a time; near is large."""
    if distance == "l2":
        return -(sum((a - b) ** 2 for a, b in zip(features[i], features[j], strict=True)) ** 0.5)
    product = sum(a * b for a, b in zip(features[i], features[j], strict=True))
    lengths = [sum(a * a for a in features[k]) ** 0.5 for k in (i, j)]
    return product / (lengths[0] * lengths[1])


def slow_loss(runner, reference, pg):
    count = len(runner)
    total = 0.0
    for i in range(count):
        others = [j for j in range(count) if j != i]
        wanted = [slow_near(reference, i, j, pg.distance) for j in others]
        found = [slow_near(runner, i, j, pg.distance) for j in others]
        if pg.similarity == "l1":
            apart = [abs(p - q) for p, q in zip(wanted, found, strict=True)]
            total = total + sum(apart) / (count * (count - 1))
            continue
        p, q = ([(value / pg.temperature).exp() for value in row] for row in (wanted, found))
        p, q = [value / sum(p) for value in p], [value / sum(q) for value in q]
        rows = sum(a * (a.log() - b.log()) for a, b in zip(p, q, strict=True))
        total = total + rows / count
    return total


@pytest.mark.parametrize("pg", EVERY)
def test_value_and_gradient_are_those_of_loops_over_pairs(pg):
    runner, reference = features(6, 4, 0), features(6, 9, 1)
    given = [runner.clone().requires_grad_() for _ in range(2)]
    losses = [pairwise_loss(given[0], reference, pg), slow_loss(given[1], reference, pg)]
    for loss in losses:
        loss.backward()
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-12)
    assert losses[0].item() > 1e-3
    assert torch.allclose(given[0].grad, given[1].grad, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("pg", EVERY)
def test_the_gradient_is_that_of_small_differences(pg):
    reference = features(5, 7, 1)
    runner = features(5, 3, 0).requires_grad_()
    assert torch.autograd.gradcheck(lambda own: pairwise_loss(own, reference, pg), runner)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pg", EVERY)
def test_a_network_has_nothing_to_learn_from_itself(pg, dtype):
    own = features(8, 5, 0).to(dtype).requires_grad_()
    loss = pairwise_loss(own, own, pg)
    loss.backward()
    assert loss.item() == 0
    assert own.grad.abs().max() < 1e-6


@pytest.mark.parametrize("pg", EVERY)
def test_it_is_a_mean_that_the_order_of_images_does_not_move(pg):
    runner, reference = features(7, 4, 0), features(7, 9, 1)
    order = torch.tensor([3, 1, 6, 0, 2, 5, 4])
    loss = pairwise_loss(runner, reference, pg)
    assert pairwise_loss(runner[order], reference[order], pg).item() == pytest.approx(loss.item())
    assert loss > 0


@pytest.mark.parametrize("similarity", ["l1", "kl"])
def test_cosine_sees_no_lengths_and_no_turning(similarity):
    pg = replace(PG, similarity=similarity)
    runner, reference = features(6, 5, 0), features(6, 9, 1)
    turning = torch.linalg.qr(features(5, 5, 2)).Q
    lengths = torch.rand(6, 1, dtype=torch.float64) + 0.5
    changed = pairwise_loss(lengths * runner @ turning, reference, pg)
    assert changed.item() == pytest.approx(pairwise_loss(runner, reference, pg).item())


def test_the_other_conventions_are_the_documented_factors_away():
    count = 6
    runner, reference = features(count, 5, 0), features(count, 9, 1)
    ours = {name: pairwise_loss(runner, reference, replace(PG, similarity=name)).item()
            for name in ("l1", "kl")}  # fmt: skip
    printed = sum(
        abs(slow_near(reference, i, j, "cosine") - slow_near(runner, i, j, "cosine"))
        for i, j in itertools.product(range(count), repeat=2)
    )  # eq. 1 as it is printed, with its diagonal of zeros
    assert printed.item() == pytest.approx(count * (count - 1) * ours["l1"])
    p, q = (pairwise_similarities(given, "cosine").softmax(dim=1) for given in (reference, runner))
    cdc = functional.kl_div(q.log(), p, reduction="none").mean()  # torch's KLDivLoss() of CDC
    assert cdc.item() == pytest.approx(ours["kl"] / (count - 1))
    assert functional.kl_div(q.log(), p, reduction="sum").item() == pytest.approx(
        count * ours["kl"]
    )


def test_kl_is_bounded_below_by_the_squared_l1_of_its_rows():
    """Pinsker: of row distributions, so p and q are not mixed up with their logits."""
    runner, reference = features(9, 3, 4), 3 * features(9, 3, 5)
    p, q = (pairwise_similarities(given, "l2").softmax(dim=1) for given in (reference, runner))
    least = ((p - q).abs().sum(dim=1) ** 2 / 2).mean()
    assert pairwise_loss(runner, reference, replace(PG, distance="l2")) >= least > 0


def test_the_reference_learns_nothing():
    runner, reference = features(4, 3, 0).requires_grad_(), features(4, 3, 1).requires_grad_()
    pairwise_loss(runner, reference, PG).backward()
    assert runner.grad is not None
    assert reference.grad is None


@pytest.mark.parametrize("pg", EVERY)
def test_equal_images_and_empty_features_give_numbers(pg):
    runner = torch.ones(4, 3)
    runner[0] = 0  # what a ReLU may leave
    runner.requires_grad_()
    pairwise_loss(runner, features(4, 5, 0).float(), pg).backward()
    assert torch.isfinite(runner.grad).all()


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("pg", EVERY)
def test_without_pairs_there_is_nothing_to_follow(pg, count):
    runner = features(count, 3, 0).requires_grad_()
    loss = pairwise_loss(runner, features(count, 5, 1), pg)
    loss.backward()
    assert loss.item() == 0
    assert not runner.grad.any()


def test_half_precision_is_widened_also_under_autocast():
    runner, reference = features(16, 64, 0).bfloat16(), features(16, 32, 1).bfloat16()
    alone = pairwise_loss(runner.float(), reference.float(), PG)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = pairwise_loss(runner, reference, PG)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, alone)


def test_a_lower_temperature_says_more():
    runner, reference = features(8, 4, 0), features(8, 4, 1)
    losses = [pairwise_loss(runner, reference, replace(PG, temperature=t)) for t in (1.0, 0.5, 0.1)]
    assert losses[0] < losses[1] < losses[2]
    assert all(math.isfinite(loss) for loss in losses)

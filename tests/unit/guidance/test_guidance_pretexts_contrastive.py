"""Two crops of an image know each other: NT-Xent beside a slow one, and its training."""

import math
from dataclasses import replace

import guided_case as case
import pytest
import torch

from synthgap.guidance.pretexts import contrastive, nt_xent
from synthgap.models.head import ProjectionHead, use_projection
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.loop import fit
from synthgap.training.train_spec import TrainSpec


def rows(count, dim, seed=0):
    drawn = torch.randn(2 * count, dim, generator=torch.Generator().manual_seed(seed)).double()
    return [part.requires_grad_() for part in drawn.chunk(2)]


def slowly(first, second, temperature):
    """Chen et al. 2020, eq. 1: pair by pair."""
    every = [*first, *second]
    losses = []
    for i, one in enumerate(every):
        j = (i + len(first)) % len(every)
        likeness = [
            torch.exp((one @ other) / (one.norm() * other.norm()) / temperature) for other in every
        ]
        losses.append(-torch.log(likeness[j] / sum(s for k, s in enumerate(likeness) if k != i)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_it_is_the_slow_one_with_its_gradients(temperature):
    first, second = rows(5, 7)
    found, wanted = nt_xent(first, second, temperature)[0], slowly(first, second, temperature)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-12)
    for ours, theirs in zip(
        torch.autograd.grad(found, (first, second)),
        torch.autograd.grad(wanted, (first, second)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_lengths_and_order_do_not_matter():
    first, second = rows(6, 4)
    loss, order = nt_xent(first, second, 0.2)[0], torch.randperm(6)
    other = nt_xent(3 * first[order], second[order] / 7, 0.2)[0]
    assert other.item() == pytest.approx(loss.item(), rel=1e-9)


def test_alike_all_are_a_guess_and_apart_none_is_wrong():
    same = torch.ones(4, 3)
    assert nt_xent(same, same, 0.2)[0].item() == pytest.approx(math.log(7), rel=1e-5)
    loss, logits, labels = nt_xent(torch.eye(4), torch.eye(4), 0.02)
    assert loss.item() < 1e-6
    assert torch.equal(logits.argmax(dim=1), labels)


def network(norm="groupnorm1"):
    model = case.student(norm=norm)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        use_projection(model, 6, temperature=0.2, place="here")
    return model


def train_spec(scale=(0.5, 1.0), **changed):
    crops = replace(case.training().global_crops, count=2, scale=scale)
    draw = torch.Generator().manual_seed(0)
    small = torch.randint(0, 256, (24, 3, 2, 2), generator=draw, dtype=torch.uint8)
    images = small.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)  # four colours each
    unlabelled = LabelledImages(images, torch.full((24,), -1))
    local = replace(crops, count=0)
    training = case.training(global_crops=crops, local_crops=local, **changed)
    return TrainSpec("contrast", unlabelled, training, 1, {})


def taught(given, accelerator, norm="groupnorm1"):
    model = network(norm)
    epochs = list(fit(model, given, accelerator, train_step=contrastive(0.2)))
    return model.state_dict(), [epoch.metrics for epoch in epochs]


def test_a_network_learns_to_tell_images_apart():
    metrics = taught(train_spec((0.9, 1.0), epochs=8, base_lr=0.2), case.one(), "batchnorm2d")[1]
    assert metrics[-1]["train/loss"] < 0.8 * metrics[0]["train/loss"]
    assert metrics[-1]["train/top1"] > 60


def test_images_are_told_apart_over_all_processes(tmp_path):
    given = train_spec()
    both = case.in_two_processes(tmp_path / "found", lambda crew: taught(given, crew))
    alone = taught(given, case.one())
    assert moved(alone[0], both[0]) < 1e-3 * moved(network().state_dict(), alone[0])
    assert both[1][0] == pytest.approx(alone[1][0], rel=1e-4)


def moved(before, after):
    return max(float((after[name] - before[name]).abs().max()) for name in before)


def test_the_head_answers_with_the_length_of_a_cosine_classifier():
    head = ProjectionHead(5, 3, temperature=0.25)
    lengths = head(torch.randn(4, 5)).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((4,), 4.0))

import dataclasses
import itertools

import pytest
import torch

from synthgap.errors import TrainingError
from synthgap.models.cut import freeze, prefix_names
from synthgap.training.loop import fit, forward
from synthgap.training.resume import Keeper


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_what_can_be_learned(student, lesson, accelerator):
    epochs = list(fit(student(), lesson(epochs=6), accelerator))
    assert epochs[-1].metrics["val/top1"] > 90
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4, 5, 6]


def test_equal_seeds_give_equal_bits_and_others_do_not(student, lesson, accelerator):
    runs = []
    for seed in (1, 1, 2):
        model = student()
        list(fit(model, lesson(seed=seed), accelerator))
        runs.append(weights(model))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


@pytest.mark.parametrize("stopped_after", [1, 2])
def test_a_stopped_run_ends_with_the_same_weights_and_log(
    tmp_path, student, lesson, accelerator, stopped_after
):
    whole = student()
    undisturbed = list(fit(whole, lesson(), accelerator))
    keeper = Keeper(tmp_path / "state.pt", every_epochs=1)
    first = fit(student(), lesson(), accelerator, keeper)
    list(itertools.islice(first, stopped_after))
    resumed = student(seed=9)
    epochs = list(fit(resumed, lesson(), accelerator, keeper))
    assert same(weights(whole), weights(resumed))
    assert [epoch.metrics for epoch in epochs] == [epoch.metrics for epoch in undisturbed]


def test_the_loop_does_not_touch_the_global_random_state(student, lesson, accelerator):
    before = torch.get_rng_state()
    list(fit(student(), lesson(), accelerator))
    assert torch.equal(before, torch.get_rng_state())


def test_a_non_finite_loss_stops_before_the_optimiser_moves(student, lesson, accelerator):
    model = student()
    with torch.no_grad():
        model.get_parameter("conv1.0.weight").fill_(float("inf"))
    trainable = "layer4.0.conv1.weight"
    before = model.get_parameter(trainable).clone()
    message = r"lesson: loss nan in epoch 1, step 1, learning rate 0; .* lower training.base_lr"
    with pytest.raises(TrainingError, match=message):
        list(fit(model, lesson(), accelerator))
    assert torch.equal(before, model.get_parameter(trainable))


def test_a_frozen_prefix_stays_through_training(student, lesson, accelerator):
    model = student()
    freeze(model, 3)
    names = prefix_names(model, 3)
    before = weights(model)
    list(fit(model, lesson(), accelerator))
    after = weights(model)
    assert all(torch.equal(before[name], after[name]) for name in names)
    assert not same(before, after)


def test_everything_frozen_trains_nothing_and_still_scores(student, lesson, accelerator):
    model = student()
    freeze(model, 6)
    before = weights(model)
    epochs = list(fit(model, lesson(), accelerator))
    assert same(before, weights(model))
    assert epochs[0].metrics["val/top1"] == epochs[-1].metrics["val/top1"]


@pytest.mark.parametrize(("which", "equal"), [("global_crops", True), ("all_crops", False)])
def test_which_crops_set_the_running_statistics(student, training, which, equal):
    seen = torch.rand(4, 3, 16, 16), torch.rand(8, 3, 8, 8)
    settings = training(running_stats=which)
    alone, both = student(), student()
    forward(alone, [seen[0]], settings)
    forward(both, list(seen), settings)
    means = [model.state_dict()["bn1.running_mean"] for model in (alone, both)]
    assert torch.equal(*means) == equal
    assert both.get_submodule("bn1").momentum == 0.1


def test_fewer_images_than_a_batch_make_one_batch(student, lesson, labelled, accelerator):
    few = dataclasses.replace(lesson(), images=labelled.subset(range(6)))
    assert few.batch_size == 6
    assert few.num_steps == 1
    assert len(list(fit(student(), few, accelerator))) == 3


def test_an_iteration_budget_gives_equal_steps(lesson, labelled):
    few = dataclasses.replace(lesson(), images=labelled.subset(range(6)), steps_per_epoch=4)
    assert few.num_steps == lesson().num_steps == 4

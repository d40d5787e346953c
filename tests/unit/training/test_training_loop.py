import dataclasses

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from synthgap.errors import TrainingError
from synthgap.models.frozen_prefix import freeze, prefix_names
from synthgap.training.loop import fit
from synthgap.training.supervised_step import MultiCropForward


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_what_can_be_learned(student, train_spec, accelerator):
    epochs = list(fit(student(), train_spec(epochs=6), accelerator))
    assert epochs[-1].metrics["val/top1"] > 90
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4, 5, 6]


def test_equal_seeds_give_equal_bits_and_others_do_not(student, train_spec, accelerator):
    runs = []
    for seed in (1, 1, 2):
        model = student()
        list(fit(model, train_spec(seed=seed), accelerator))
        runs.append(weights(model))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_the_loop_does_not_touch_the_global_random_state(student, train_spec, accelerator):
    before = torch.get_rng_state()
    list(fit(student(), train_spec(), accelerator))
    assert torch.equal(before, torch.get_rng_state())


def test_a_non_finite_loss_stops_before_the_optimiser_moves(student, train_spec, accelerator):
    model = student()
    with torch.no_grad():
        model.get_parameter("conv1.0.weight").fill_(float("inf"))
    trainable = "layer4.0.conv1.weight"
    before = model.get_parameter(trainable).clone()
    message = r"lesson: loss nan in epoch 1, step 1, learning rate 0; .* lower training.base_lr"
    with pytest.raises(TrainingError, match=message):
        list(fit(model, train_spec(), accelerator))
    assert torch.equal(before, model.get_parameter(trainable))


def test_a_frozen_prefix_stays_through_training(student, train_spec, accelerator):
    model = student()
    freeze(model, 3)
    names = prefix_names(model, 3)
    before = weights(model)
    list(fit(model, train_spec(), accelerator))
    after = weights(model)
    assert all(torch.equal(before[name], after[name]) for name in names)
    assert not same(before, after)


def test_everything_frozen_trains_nothing_and_still_scores(student, train_spec, accelerator):
    model = student()
    freeze(model, 6)
    before = weights(model)
    epochs = list(fit(model, train_spec(), accelerator))
    assert same(before, weights(model))
    assert epochs[0].metrics["val/top1"] == epochs[-1].metrics["val/top1"]


@pytest.mark.parametrize(("which", "equal"), [("global_crops", True), ("all_crops", False)])
def test_which_crops_set_the_running_statistics(student, which, equal):
    crops = torch.rand(4, 3, 16, 16), torch.rand(8, 3, 8, 8)
    alone, both = student(), student()
    MultiCropForward(alone, which)([crops[0]])
    MultiCropForward(both, which)(list(crops))
    means = [model.state_dict()["bn1.running_mean"] for model in (alone, both)]
    assert torch.equal(*means) == equal
    assert both.get_submodule("bn1").momentum == 0.1


def test_fewer_images_than_a_batch_make_one_batch(student, train_spec, labelled, accelerator):
    few = dataclasses.replace(train_spec(), images=labelled.subset(range(6)))
    assert few.batch_size == 6
    assert few.num_steps == 1
    assert len(list(fit(student(), few, accelerator))) == 3


def test_an_iteration_budget_gives_equal_steps(train_spec, labelled):
    few = dataclasses.replace(train_spec(), images=labelled.subset(range(6)), steps_per_epoch=4)
    assert few.num_steps == train_spec().num_steps == 4


@pytest.fixture
def normless():
    """A student whose samples do not see each other."""

    def make():
        torch.manual_seed(0)
        body = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(2))
        return torch.nn.Sequential(body, Mean(), torch.nn.Linear(8, 2))

    class Mean(torch.nn.Module):
        def forward(self, maps):
            return maps.mean(dim=2)

    return make


@pytest.mark.parametrize("parts", [2, 5])
def test_accumulated_parts_are_the_whole_batch(normless, train_spec, accelerator, parts):
    runs = []
    for accumulate in (1, parts):
        with torch.random.fork_rng():
            model = normless()
        epochs = list(fit(model, train_spec(accumulate=accumulate), accelerator))
        runs.append((weights(model), [epoch.metrics["train/loss"] for epoch in epochs]))
    assert runs[0][1] == pytest.approx(runs[1][1], rel=1e-5)
    for name, weight in runs[0][0].items():
        assert torch.allclose(weight, runs[1][0][name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_other_optimisers_learn_too(student, train_spec, accelerator, optimizer):
    settings = {"optimizer": optimizer, "base_lr": 0.01, "lr_scaling": "none", "epochs": 6}
    epochs = list(fit(student(), train_spec(**settings), accelerator))
    assert epochs[-1].metrics["val/top1"] > 90


def test_a_frozen_prefix_without_chance_is_remembered_and_learns_the_same(
    student, train_spec, accelerator, monkeypatch
):
    from synthgap.training import scoring

    runs = []
    for room in (scoring.CACHED_ACTIVATION_BYTES, 0):
        monkeypatch.setattr(scoring, "CACHED_ACTIVATION_BYTES", room)
        model = student()
        freeze(model, 3)
        calls = []
        model.get_submodule("layer1.0.conv1").register_forward_hook(
            lambda *_, calls=calls: calls.append(1)
        )
        epochs = list(fit(model, train_spec(augmentation="none"), accelerator))
        runs.append((weights(model), epochs[-1].metrics["val/loss"], len(calls)))
    assert runs[0][2] < runs[1][2]
    assert runs[0][1] == pytest.approx(runs[1][1], rel=1e-3)
    for name, weight in runs[0][0].items():
        assert torch.allclose(weight, runs[1][0][name], rtol=1e-3, atol=1e-5), name


def test_half_precision_learns_on_a_cpu(student, train_spec):
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    epochs = list(fit(student(), train_spec(epochs=6), accelerator))
    AcceleratorState._reset_state(reset_partial_state=True)
    assert epochs[-1].metrics["val/top1"] > 90

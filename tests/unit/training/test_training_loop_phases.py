import pytest
import torch

from synthgap.training.checkpointing import Checkpointer
from synthgap.training.loop import Phase, fit_phases


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def phases(train_spec):
    return [Phase(train_spec(epochs=2)), Phase(train_spec(epochs=3))]


@pytest.fixture
def undisturbed(student, train_spec, accelerator):
    model = student()
    epochs = list(fit_phases(model, phases(train_spec), accelerator, lambda _: None))
    return weights(model), epochs


def test_epochs_are_numbered_through_and_schedules_begin_anew(undisturbed, train_spec):
    epochs = undisturbed[1]
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4, 5]
    rates = [epoch.metrics["learning_rate"] for epoch in epochs]
    assert rates[2] > rates[1]


@pytest.mark.parametrize("kept", [1, 2, 3, 4])
def test_stopped_in_any_phase_it_goes_on_as_if_nothing_had_been(
    tmp_path, student, train_spec, accelerator, undisturbed, kept
):
    def checkpointer_of(number):
        return Checkpointer(tmp_path / f"state-{number}.pt", every_epochs=1)

    running = fit_phases(student(), phases(train_spec), accelerator, checkpointer_of)
    for _ in range(kept):
        next(running)
    running.close()
    resumed = student(seed=9)
    epochs = list(fit_phases(resumed, phases(train_spec), accelerator, checkpointer_of))
    assert all(torch.equal(undisturbed[0][name], now) for name, now in weights(resumed).items())
    assert [one.metrics for one in epochs] == [one.metrics for one in undisturbed[1]]

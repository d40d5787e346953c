"""Wherever a training is stopped, its rerun ends with the same weights and the same log."""

import multiprocessing
import os
import signal
import time

import pytest
import torch

from synthgap.errors import TrainingError
from synthgap.training.checkpointing import Checkpointer
from synthgap.training.loop import fit
from synthgap.training.supervised_step import SupervisedStep

STEPS = 4  # of an epoch: 40 images in batches of 10


class StoppedError(Exception):
    pass


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """A forked child must not wait for its parent's thread pool."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def undisturbed(student, train_spec, accelerator):
    model = student()
    epochs = list(fit(model, train_spec(), accelerator))
    return weights(model), [epoch.metrics for epoch in epochs]


@pytest.mark.parametrize("step", [1, 2, STEPS, STEPS + 1, 2 * STEPS + 3])
@pytest.mark.parametrize("every_steps", [None, 1, 3])
def test_stopped_before_any_step_it_goes_on_as_if_nothing_had_been(
    tmp_path, student, train_spec, accelerator, undisturbed, monkeypatch, step, every_steps
):
    checkpointer = Checkpointer(tmp_path / "state.pt", every_epochs=1, every_steps=every_steps)
    plain, taken = SupervisedStep.step, []

    def stopping(self, *arguments):
        if len(taken) == step:
            raise StoppedError
        taken.append(1)
        return plain(self, *arguments)

    monkeypatch.setattr(SupervisedStep, "step", stopping)
    with pytest.raises(StoppedError):
        list(fit(student(), train_spec(), accelerator, checkpointer))
    monkeypatch.undo()
    resumed = student(seed=9 if checkpointer.path.exists() else 1)
    epochs = list(fit(resumed, train_spec(), accelerator, checkpointer))
    assert same(undisturbed[0], weights(resumed))
    assert [epoch.metrics for epoch in epochs] == undisturbed[1]
    assert [epoch.number for epoch in epochs] == [1, 2, 3]


@pytest.mark.parametrize("saves", [1, 3, 6])
def test_kill_minus_9_costs_no_bit(
    tmp_path, student, train_spec, accelerator, undisturbed, saves, monkeypatch
):
    path = tmp_path / "state.pt"
    checkpointer = Checkpointer(path, every_epochs=1, every_steps=1)

    def child():
        plain = SupervisedStep.step
        SupervisedStep.step = lambda *given: (time.sleep(0.05), plain(*given))[1]
        list(fit(student(), train_spec(), accelerator, checkpointer))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    save_times = set()
    while len(save_times) < saves:
        assert process.is_alive()
        if path.exists():
            save_times.add(path.stat().st_mtime_ns)
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    resumed = student(seed=9)
    epochs = list(fit(resumed, train_spec(), accelerator, checkpointer))
    assert same(undisturbed[0], weights(resumed))
    assert [epoch.metrics for epoch in epochs] == undisturbed[1]


def test_dropout_draws_the_same_after_a_stop(tmp_path, student, train_spec, accelerator):
    class Dropping(torch.nn.Module):
        def __init__(self, inside):
            super().__init__()
            self.inside, self.dropout = inside, torch.nn.Dropout(0.5)

        def forward(self, images):
            return self.inside(self.dropout(images))

    whole = Dropping(student())
    list(fit(whole, train_spec(), accelerator))
    checkpointer = Checkpointer(tmp_path / "state.pt", every_epochs=1)
    next(iter(fit(Dropping(student()), train_spec(), accelerator, checkpointer)))
    torch.manual_seed(77)
    resumed = Dropping(student())
    list(fit(resumed, train_spec(), accelerator, checkpointer))
    assert same(weights(whole), weights(resumed))


def test_out_of_memory_says_what_to_lower(student, train_spec, accelerator):
    class Hungry(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, images):
            return torch.empty(len(images), 2**50) * self.weight

    message = (
        r"lesson: out of memory on cpu with batches of 10 in 1 part\(s\), 1 x 16 px \+ 2 x 8 px; "
        r"raise training.accumulate, or lower training.batch_size"
    )
    with pytest.raises(TrainingError, match=message):
        list(fit(Hungry(), train_spec(), accelerator))


def test_other_errors_stay_what_they_are(train_spec, accelerator):
    class Broken(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, images):
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(fit(Broken(), train_spec(), accelerator))

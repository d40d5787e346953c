"""What every method of METHODS promises, so that a new one is tested by being there."""

from __future__ import annotations

from dataclasses import replace

import guidance_world as world
import numpy as np
import pytest
import torch

from synthgap.guidance.methods import METHODS
from synthgap.guidance.updates import UpdateStep
from synthgap.training.checkpointing import Checkpointer
from synthgap.training.supervised_step import SupervisedStep

ALL_STEPS = world.EPOCHS * world.STEPS


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def undisturbed():
    """By a method's name: its student and the metrics of its epochs; learned once."""
    found = {}

    def of(name):
        if name not in found:
            found[name] = world.learned(name, plain(name))
        return found[name]

    return of


def plain(name, **changed):
    """The task of a method, as it may have it."""
    images = changed.pop("real", world.labelled(world.NUM_REAL, seed=0))
    return world.method_context(real=world.as_given(name, images), **changed)


@pytest.mark.parametrize("name", METHODS)
def test_it_learns(name, undisturbed):
    before, (after, epochs) = world.network(1), undisturbed(name)
    seed, count = (1, world.NUM_SYNTHETIC) if METHODS[name].synthetic else (0, world.NUM_REAL)
    images = world.labelled(count, seed=seed)
    assert world.loss_on(after, images) < 0.7 * world.loss_on(before, images)
    assert all(np.isfinite(list(epoch.metrics.values())).all() for epoch in epochs)


@pytest.mark.parametrize("name", METHODS)
def test_it_takes_as_many_steps_as_all_others(name):
    phases = METHODS[name].phases(plain(name))
    train_specs = [phase.train_spec for phase in phases]
    assert (
        sum(train_spec.training.epochs * train_spec.num_steps for train_spec in train_specs)
        == ALL_STEPS
    )
    assert {train_spec.batch_size for train_spec in train_specs} == {world.TRAINING.batch_size}


@pytest.mark.parametrize("name", METHODS)
def test_the_student_comes_back_as_it_was_but_for_its_weights(name, undisturbed):
    fresh, (student, epochs) = world.network(1), undisturbed(name)
    assert type(student) is type(fresh)
    shapes = [{key: value.shape for key, value in m.state_dict().items()} for m in (fresh, student)]
    assert shapes[0] == shapes[1]
    assert all(parameter.requires_grad for parameter in student.parameters())
    assert not [module for module in student.modules() if module._forward_pre_hooks]
    assert not [module for module in student.modules() if module._forward_hooks]
    assert [epoch.number for epoch in epochs] == list(range(1, world.EPOCHS + 1))


@pytest.mark.parametrize("name", METHODS)
def test_equal_seeds_give_equal_weights(name, undisturbed):
    again, epochs = world.learned(name, plain(name))
    assert world.same(world.state_of(undisturbed(name)[0]), world.state_of(again))
    assert [epoch.metrics for epoch in epochs] == [e.metrics for e in undisturbed(name)[1]]


@pytest.mark.parametrize("name", METHODS)
def test_stopped_and_resumed_it_ends_with_the_same_weights(
    name, undisturbed, tmp_path, monkeypatch
):
    """Stopped inside its last phase; what goes on begins as another student."""

    def checkpointer_of(number):
        return Checkpointer(tmp_path / f"{number}.pt", every_epochs=1, every_steps=1)

    taken = []
    for train_step in (SupervisedStep, UpdateStep):
        monkeypatch.setattr(
            train_step, "step", _stopping(train_step.step, taken, after=ALL_STEPS - 1)
        )
    with pytest.raises(StoppedError):
        world.learned(name, plain(name), checkpointer_of)
    monkeypatch.undo()
    resumed = replace(plain(name), student=world.network(9))
    student, epochs = world.learned(name, resumed, checkpointer_of)
    assert world.same(world.state_of(undisturbed(name)[0]), world.state_of(student))
    assert [epoch.metrics for epoch in epochs] == [e.metrics for e in undisturbed(name)[1]]


def _stopping(step, taken, *, after):
    def stopping(self, *arguments):
        if len(taken) == after:
            raise StoppedError
        taken.append(1)
        return step(self, *arguments)

    return stopping


@pytest.mark.parametrize("name", METHODS)
def test_what_it_sees_of_real_images_is_what_it_says(name, undisturbed):
    """none: pixels make no difference; images: labels make none; else both do."""
    images = world.labelled(world.NUM_REAL, seed=0)
    given, found = METHODS[name].real, world.state_of(undisturbed(name)[0])
    other_pixels = world.learned(name, plain(name, real=world.noise(images)))[0]
    assert world.same(found, world.state_of(other_pixels)) == (given == "none")
    relabelled = replace(images, labels=1 - images.labels)
    other_labels = world.learned(name, world.method_context(real=relabelled))[
        0
    ]  # though it may have none
    assert world.same(found, world.state_of(other_labels)) == (given in {"none", "images"})


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.synthetic])
def test_without_synthetic_images_it_sees_none(name, undisturbed):
    images = world.labelled(world.NUM_SYNTHETIC, seed=1)
    other = world.learned(name, plain(name, synthetic=world.noise(images)))[0]
    assert world.same(world.state_of(undisturbed(name)[0]), world.state_of(other))


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.real in {"none", "any"}])
def test_it_can_do_without_real_images(name):
    """As the zero-shot protocol asks it to."""
    nothing = world.labelled(world.NUM_REAL, seed=0).subset(np.arange(0))
    student, _ = world.learned(name, world.method_context(real=nothing))
    images = world.labelled(world.NUM_SYNTHETIC, seed=1)
    assert world.loss_on(student, images) < 0.7 * world.loss_on(world.network(1), images)


def test_adda_and_dada_may_not_have_real_labels():
    assert {name for name, method in METHODS.items() if method.real == "images"} == {"adda", "dada"}

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from guided_case import method_context, student, training

from synthgap.errors import ParamsError
from synthgap.guidance.prefix import prefix
from synthgap.models.frozen_prefix import prefix_names
from synthgap.params.guidance import Prefix
from synthgap.seeding import derived_seed
from synthgap.training.checkpointing import Checkpointer
from synthgap.training.loop import fit_phases

DEPTH, EPOCHS = 3, 4


def given(*, depth=DEPTH, frozen_bn_stats="eval", seed=1):
    """Batch norm, whose statistics must stay too."""
    plain = method_context(num_real=8)
    settings = training(
        epochs=EPOCHS, warmup_epochs=0, last_epochs=1, frozen_bn_stats=frozen_bn_stats
    )
    return replace(
        plain,
        student=normed(seed),
        train_spec=replace(plain.train_spec, training=settings),
        guide=replace(plain.guide, prefix=Prefix(depth, 0.5)),
        fresh=normed,
    )


def normed(seed):
    return student(seed, norm="batchnorm")


def states(asked, checkpointer_of=lambda _number: None):
    """The student's state after every epoch."""
    phases = prefix(asked)
    every = fit_phases(asked.student, phases, Accelerator(cpu=True), checkpointer_of)
    return [
        {name: value.clone() for name, value in asked.student.state_dict().items()} for _ in every
    ]


@pytest.fixture(scope="module")
def whole():
    return states(given())


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_the_prefix_stays_as_the_synthetic_images_left_it_bit_for_bit(whole):
    kept = set(prefix_names(normed(1), DEPTH))
    assert any("running" in name for name in kept)
    assert not changed(whole[1], whole[3]) & kept
    counted = {name for name in whole[1] if name.endswith("num_batches_tracked")}  # from 0 again
    assert changed(whole[1], whole[3]) >= set(whole[1]) - kept - counted
    assert changed(whole[0], whole[1]) & kept  # which they had taught


def test_statistics_go_on_where_they_are_asked_to():
    found = states(given(frozen_bn_stats="update"))
    moved = changed(found[1], found[3]) & set(prefix_names(normed(1), DEPTH))
    assert moved
    assert all("running" in name or "num_batches" in name for name in moved)


def test_the_tail_begins_anew_and_not_where_it_began_before():
    """Half of the epochs are the real images'; the rule is made when they come."""
    asked = given()
    (first, second) = prefix(asked)
    assert (first.train_spec.training.epochs, second.train_spec.training.epochs) == (2, 2)
    assert first.train_spec.training.base_lr == second.train_spec.training.base_lr
    taught = {name: value.clone() for name, value in asked.student.state_dict().items()}
    second.train_step(asked.student, second.train_spec, Accelerator(cpu=True))
    now, fresh = asked.student.state_dict(), normed(derived_seed(1, "prefix")).state_dict()
    kept = set(prefix_names(normed(1), DEPTH))
    for name, value in now.items():
        assert torch.equal(value, taught[name] if name in kept else fresh[name])
    weights = {name for name in taught if name.endswith("weight") and taught[name].ndim > 1}
    assert weights - kept
    assert weights - kept <= changed(now, taught)


@pytest.mark.parametrize("killed_after", range(1, EPOCHS))
def test_killed_after_any_epoch_it_ends_with_the_same_weights(whole, tmp_path, killed_after):
    def checkpointer_of(number):
        return Checkpointer(tmp_path / f"{number}.pt", every_epochs=1)

    asked = given()
    every = fit_phases(asked.student, prefix(asked), Accelerator(cpu=True), checkpointer_of)
    for _ in range(killed_after):
        next(every)
    every.close()
    assert not changed(whole[-1], states(given(), checkpointer_of)[-1])


@pytest.mark.parametrize("depth", [6, 7])
def test_a_depth_that_leaves_nothing_to_learn_is_refused(depth):
    with pytest.raises(ParamsError, match=rf"prefix.depth: {depth}, .* 6 units; expected 1 to 5"):
        prefix(given(depth=depth))

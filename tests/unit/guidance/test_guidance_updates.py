"""What train steps made of updates promise to every method, in one process and in two."""

from dataclasses import dataclass, replace

import guided_case as case
import pytest
import torch
from torch import nn

from synthgap.errors import TrainingError
from synthgap.guidance import pg_rg
from synthgap.guidance.domains import domain_batches
from synthgap.guidance.forward import gather_rows
from synthgap.guidance.updates import LossTerm, MethodNetworks, SummedGradient, update_step
from synthgap.training.batch_loader import BatchLoader
from synthgap.training.loop import fit


@pytest.fixture
def accelerator():
    return case.one()


class Dial(nn.Module):
    """One number that learns."""

    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(value)))


@dataclass(frozen=True)
class Towards(SummedGradient):
    """Move a dial to where another one is at that moment."""

    moves: Dial
    aim: Dial
    factor: float = 1.0

    @property
    def parameters(self):
        return [self.moves.value]

    def terms(self, pair):
        loss = self.factor * (self.moves.value - self.aim.value.detach()) ** 2 / 2
        yield LossTerm(loss, logits=torch.eye(2), labels=torch.tensor([0, 0]))


def room_of(*made, rates=None):
    """Networks a and b, and an update for each of `made` beside a student that does not learn."""

    def make(student, train_spec, accelerator):
        student.requires_grad_(False)
        dials = {"a": Dial(0.0), "b": Dial(4.0)}
        room_of.last = dials
        steps = [Towards(dials[moves], dials[aim], factor) for moves, aim, factor in made]
        return MethodNetworks(nn.ModuleDict({"student": student, **dials}), steps, rates or {})

    return make


def values(given, make, accelerator):
    """Of both dials after one step of SGD at half of the way."""
    train_spec = replace(given.train_spec, steps_per_epoch=1)
    epochs = list(
        fit(given.student, train_spec, accelerator, train_step=update_step(make, given.num_real))
    )
    dials = room_of.last
    return dials["a"].value.item(), dials["b"].value.item(), epochs[0].metrics


def test_turns_are_taken_in_order_each_by_what_the_last_one_left(accelerator):
    make = room_of(("a", "b", 1.0), ("b", "a", 1.0))
    a, b, metrics = values(case.method_context(weight_decay=0.0), make, accelerator)
    assert (a, b) == (2.0, 3.0)  # a goes half of the way to 4, then b half of the way to 2
    assert metrics["train/loss"] == 4**2 / 2 + 2**2 / 2
    assert metrics["train/top1"] == 50
    other = room_of(("b", "a", 1.0), ("a", "b", 1.0))
    assert values(case.method_context(weight_decay=0.0), other, accelerator)[:2] == (1.0, 2.0)


def test_a_network_may_learn_at_a_rate_of_its_own(accelerator):
    make = room_of(("a", "b", 1.0), ("b", "a", 1.0), rates={"a": 0.5})
    assert values(case.method_context(weight_decay=0.0), make, accelerator)[:2] == (1.0, 2.5)


def test_what_is_no_number_stops_the_turn_before_it_moves(accelerator):
    make = room_of(("a", "b", 1.0), ("b", "a", float("nan")))
    message = r"lesson: loss nan in epoch 1, step 1, learning rate 0.5; .* lower training.base_lr"
    with pytest.raises(TrainingError, match=message):
        values(case.method_context(weight_decay=0.0), make, accelerator)
    assert room_of.last["b"].value.item() == 4.0


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("real_share", [1 / 12, 0.25, 0.5])
def test_halves_are_the_batch(accelerator, accumulate, real_share):
    given = case.method_context(accumulate=accumulate, real_share=real_share)
    loader = BatchLoader.of(given.student, given.both(), accelerator, remembers=False)
    _, parts = next(iter(loader.steps(1, after=0)))
    pairs = domain_batches(parts, given.num_real, 0.5, accelerator)
    for kind in pg_rg.DOMAINS:
        halves = [getattr(pair, kind) for pair in pairs]
        assert sum(half.share for half in halves if half is not None) == pytest.approx(1)
    for pair, batch in zip(pairs, parts, strict=True):
        rows = len(batch.indices)
        for half, wants in ((pair.real, True), (pair.synthetic, False)):
            mine = [i for i in range(rows) if (batch.indices[i] < given.num_real) == wants]
            if half is None:
                assert not mine
                continue
            assert half.indices.tolist() == batch.indices[mine].tolist()
            assert torch.equal(half.labels, batch.targets.labels[mine])
            for crops, whole in zip(half.crops, batch.crops, strict=True):
                wanted = [whole[i + start] for start in range(0, len(whole), rows) for i in mine]
                assert torch.equal(crops, torch.stack(wanted))


def in_each(accelerator):
    """Rows of both processes with a gradient each, and buffers after an epoch of batch norm."""
    rank = accelerator.process_index
    own = torch.arange(2 + rank, dtype=torch.float32)[:, None] + 10 * rank
    own.requires_grad_()
    every = gather_rows(own, accelerator)
    (every.T @ every).sum().backward()
    given = replace(case.method_context(real_share=0.5), student=case.student(norm="batchnorm"))
    state, _ = case.learned(given, pg_rg.rg, accelerator)
    means = torch.cat([value for name, value in state.items() if "running_mean" in name])
    weights = torch.cat([value.flatten() for name, value in state.items() if "weight" in name])
    gradients = accelerator.pad_across_processes(own.grad)
    both = [accelerator.gather(found) for found in (gradients, means[None], weights[None])]
    return every.detach(), *both


def test_processes_share_rows_and_end_with_one_student(tmp_path):
    every, gradients, means, weights = case.in_two_processes(tmp_path / "found", in_each)
    assert every.flatten().tolist() == [0, 1, 10, 11, 12]
    assert gradients.flatten().tolist() == [0, 2, 0, 20, 22, 24]  # each its own part: d sum(x^2)
    for both in (means, weights):
        assert torch.equal(both[0], both[1])
        assert both[0].abs().max() > 0

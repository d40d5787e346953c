"""CSG: the student's features of an image are nearest to the frozen twin's of the same image."""

import copy
from dataclasses import replace

import pytest
import reference_case as case
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from guided_case import apart, in_two_processes, learned, one

from synthgap.errors import ParamsError
from synthgap.guidance.baselines import pooled
from synthgap.guidance.csg import attention_weights, csg, info_nce, weighted_pool


def rows(*shape, seed=0):
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()
    return drawn.requires_grad_()


def slowly(queries, keys, whose, same, temperature):
    total = 0
    for row, query in enumerate(queries):
        likeness = [
            ((query @ key) / (query.norm() * key.norm()) / temperature).exp() for key in keys
        ]
        own = int(whose[row])
        others = [s for k, s in enumerate(likeness) if k != own and not same[row, k]]
        total = total - (likeness[own] / (likeness[own] + sum(others))).log()
    return total / len(queries)


def test_the_contrast_is_the_slow_one_with_its_gradients():
    queries, keys = rows(3, 5), rows(6, 5, seed=1)
    whose = torch.tensor([2, 3, 4])
    same = torch.zeros(3, 6, dtype=torch.bool)
    same[torch.arange(3), whose] = True
    same[0, 5] = True  # another crop of the first image
    found, wanted = (f(queries, keys, whose, same, 0.07) for f in (info_nce, slowly))
    assert found.item() == pytest.approx(wanted.item(), rel=1e-10)
    for ours, theirs in zip(
        torch.autograd.grad(found, (queries, keys)),
        torch.autograd.grad(wanted, (queries, keys)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-12)


def test_attention_is_a_share_of_each_place_and_even_where_all_are_alike():
    features = rows(2, 4, 3).detach().abs()
    weights = attention_weights(features)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2).double())
    likeness = [float(place @ features[0].mean(dim=0)) for place in features[0]]
    assert weights[0].argmax() == torch.tensor(likeness).argmax()
    alike = features[:, :1].expand(-1, 4, -1)
    torch.testing.assert_close(attention_weights(alike), torch.full((2, 4), 0.25).double())
    torch.testing.assert_close(weighted_pool(attention_weights(alike), alike), features[:, 0])
    assert attention_weights(torch.zeros(1, 4, 3)).isfinite().all()


def test_without_weight_it_is_the_pooled_training():
    given = case.method_context(csg=replace(case.CSG, weight=0.0))
    first, second = (learned(given, method, one())[0] for method in (csg, pooled))
    assert apart(second, first) < 1e-4


@pytest.mark.parametrize("pooling", ["attention", "average"])
@pytest.mark.parametrize("num_real", [6, 0])
def test_it_learns_with_the_contrast_in_its_loss(pooling, num_real):
    given = case.method_context(
        csg=replace(case.CSG, pooling=pooling), num_real=num_real, epochs=5, base_lr=0.05
    )
    state, epochs = learned(given, csg, one())
    assert epochs[-1].metrics["train/loss"] < 0.9 * epochs[0].metrics["train/loss"]
    plain = learned(given, pooled, one())[0]
    assert apart(plain, state) > 1e-2
    assert state.keys() == given.student.state_dict().keys()


def test_the_reference_stays_as_it_was():
    given = case.method_context()
    before = copy.deepcopy(given.references["twin"].network.state_dict())
    learned(given, csg, one())
    after = given.references["twin"].network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_another_architecture_is_refused_in_one_line():
    given = case.method_context(csg=replace(case.CSG, reference="tutor"))
    with pytest.raises(ParamsError, match=r"csg\.reference: tutor \(tutor\) is another") as error:
        csg(given)
    assert "\n" not in str(error.value)


def test_a_unit_that_is_not_there_is_refused_before_anything_learns():
    with pytest.raises(ParamsError, match=r"guide\.csg\.units: \[6\], expected 1 to 5"):
        csg(case.method_context(csg=replace(case.CSG, units=(3, 6))))


def test_two_processes_take_the_steps_of_one(tmp_path):
    given = case.method_context()
    both = in_two_processes(tmp_path / "found", lambda crew: learned(given, csg, crew)[0])
    alone = learned(given, csg, one())[0]
    assert apart(alone, both) < 1e-3


def test_half_precision_takes_nearly_the_same_steps():
    given = case.method_context()
    single = learned(given, csg, one())[0]
    AcceleratorState._reset_state(reset_partial_state=True)
    half = learned(given, csg, Accelerator(cpu=True, mixed_precision="bf16"))[0]
    AcceleratorState._reset_state(reset_partial_state=True)
    assert 0 < apart(single, half) < 0.2

"""ASG: a second head answers as the frozen reference does, beside the task's loss."""

import copy
from dataclasses import replace

import guided_case
import pytest
import reference_case as case
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from guided_case import apart, in_two_processes, learned, one, student

from synthgap.errors import ParamsError
from synthgap.guidance.asg import answer_loss, asg, second_head
from synthgap.guidance.baselines import pooled


def slowly(answers, wanted, temperature):
    total = 0
    for own, theirs in zip(answers, wanted, strict=True):
        q, p = ((row / temperature).exp() for row in (own, theirs))
        q, p = q / q.sum(), p / p.sum()
        total = total + sum(a * (a.log() - b.log()) for a, b in zip(p, q, strict=True))
    return total / len(answers)


def outputs(seed):
    drawn = torch.randn(5, 4, generator=torch.Generator().manual_seed(seed)).double()
    return drawn.requires_grad_()


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_divergence_is_the_slow_one_with_its_gradient(temperature):
    answers, wanted = outputs(0), outputs(1)
    found, slow = (f(answers, wanted, temperature) for f in (answer_loss, slowly))
    assert found.item() == pytest.approx(slow.item(), rel=1e-12)
    (ours,), (theirs,) = (torch.autograd.grad(loss, answers) for loss in (found, slow))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_the_same_answer_costs_nothing_and_the_reference_has_no_gradient():
    answers = outputs(0)
    assert answer_loss(answers, answers, 1.0).item() == pytest.approx(0, abs=1e-12)
    wanted = outputs(1)
    loss = answer_loss(answers, wanted, 1.0)
    assert torch.autograd.grad(loss, wanted, allow_unused=True) == (None,)


def test_without_weight_it_is_the_pooled_training():
    given = case.method_context(asg=replace(case.ASG, weight=0.0))
    first, second = (learned(given, method, one())[0] for method in (asg, pooled))
    assert apart(second, first) < 1e-4


def test_with_weight_the_student_comes_nearer_to_the_reference_s_answers():
    """Also on synthetic images alone, where there is no real one."""
    for num_real in (guided_case.NUM_REAL, 0):
        losses = {}
        for weight in (0.0, 20.0):
            train_step = replace(case.ASG, weight=weight, reference="twin")
            given = case.method_context(asg=train_step, num_real=num_real, epochs=4, base_lr=0.05)
            own = replace(given, student=copy.deepcopy(given.student))
            state = learned(own, asg, one())[0]
            losses[weight] = divergence(given, state)
        assert losses[20.0] < 0.7 * losses[0.0]


def divergence(given, state):
    """Of the student's features behind the twin's own head from the twin's answers."""
    twin, model = given.references["twin"], copy.deepcopy(given.student)
    model.load_state_dict(state)
    images = given.train_spec.images.images[given.num_real :].float() / 255
    model.eval()
    head = second_head(model, twin, seed=0)
    with torch.no_grad():
        maps = model.forward_features(given.train_spec.normalisation(images))
        answers = head(model.forward_head(maps, pre_logits=True))
    return answer_loss(answers, twin.outputs(images), 1.0).item()


def test_a_twin_lends_its_own_head_and_another_network_none():
    given = case.method_context()
    own = second_head(student(), given.references["twin"], seed=1)
    assert not any(parameter.requires_grad for parameter in own.parameters())
    fresh = second_head(student(), given.references["tutor"], seed=1)
    assert fresh.weight.shape == (3, 8)
    assert fresh.weight.requires_grad


def test_a_reference_without_answers_is_refused_in_one_line():
    given = case.method_context()
    silent = replace(given.references["tutor"], num_outputs=0)
    with pytest.raises(
        ParamsError, match=r"guide\.asg\.reference: tutor \(tutor\) has no"
    ) as error:
        asg(replace(given, references={"tutor": silent}))
    assert "\n" not in str(error.value)


def test_two_processes_and_two_parts_take_the_steps_of_one(tmp_path):
    given = case.method_context()
    both = in_two_processes(tmp_path / "found", lambda crew: learned(given, asg, crew)[0])
    alone = learned(given, asg, one())[0]
    assert apart(alone, both) < 1e-3
    parts = learned(case.method_context(accumulate=2), asg, one())[0]
    assert apart(alone, parts) < 1e-3


def test_half_precision_takes_nearly_the_same_steps():
    given = case.method_context()
    single = learned(given, asg, one())[0]
    AcceleratorState._reset_state(reset_partial_state=True)
    half = learned(given, asg, Accelerator(cpu=True, mixed_precision="bf16"))[0]
    AcceleratorState._reset_state(reset_partial_state=True)
    assert 0 < apart(single, half) < 0.2

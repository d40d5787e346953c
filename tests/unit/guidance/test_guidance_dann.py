from dataclasses import replace

import pytest
import torch
from adversarial_case import PARAMS, method_context, relabelled
from guided_case import apart, in_two_processes, learned, one, student

from synthgap.guidance.dann import DannUpdate, dann
from synthgap.guidance.discriminator import Discriminator, domain_loss, ramp, seeded_network
from synthgap.guidance.domains import DomainBatch, DomainRows
from synthgap.guidance.forward import TappedStudent, cross_entropy


def pair(progress, sizes=(3, 5)):
    draw = torch.Generator().manual_seed(0)
    halves = [
        DomainRows(
            [torch.randn(count, 3, 16, 16, generator=draw)],
            torch.arange(count) % 2,
            torch.arange(count),
            1.0,
        )
        for count in sizes
    ]
    return DomainBatch(*halves, progress)


@pytest.mark.parametrize("progress", [0.0, 0.1, 0.9])
def test_one_pass_gives_the_saddle_point_s_gradients(progress):
    """theta_f: dL_y - strength dL_d; theta_y: dL_y; theta_d: dL_d (Ganin et al. 2016)."""
    network, given = student(), pair(progress)
    judge = seeded_network(lambda: Discriminator(8, (8,)), seed=1)
    update = DannUpdate(network, judge, method_context().train_spec, PARAMS["dann"])
    (term,) = update.terms(given)
    found = torch.autograd.grad(term.loss, update.parameters)

    outputs = [
        TappedStudent(network, "all_crops")(half.crops) for half in (given.real, given.synthetic)
    ]
    labels = torch.cat([given.real.labels, given.synthetic.labels])
    logits = torch.cat([part.logits for part in outputs])
    of_labels = torch.nn.functional.cross_entropy(logits, labels)
    domain_losses = [
        domain_loss(judge(part.features), synthetic=kind)
        for part, kind in zip(outputs, (False, True), strict=True)
    ]
    of_domains = (domain_losses[0] + domain_losses[1]) / 2
    assert term.loss.item() == pytest.approx((of_labels + of_domains).item(), rel=1e-5)
    strength = PARAMS["dann"].weight * ramp(progress, PARAMS["dann"].gamma)
    parts = [
        torch.autograd.grad(loss, update.parameters, retain_graph=True, allow_unused=True)
        for loss in (of_labels, of_domains)
    ]
    own = {id(parameter) for parameter in judge.parameters()}
    for index, parameter in enumerate(update.parameters):
        label, domain = (
            torch.zeros_like(parameter) if p[index] is None else p[index] for p in parts
        )
        wanted = domain if id(parameter) in own else label - strength * domain
        torch.testing.assert_close(found[index], wanted, rtol=1e-4, atol=1e-6)


def test_all_rows_count_alike_for_labels():
    given = pair(0.0, sizes=(2, 6))
    network = student()
    judge = seeded_network(lambda: Discriminator(8, ()), seed=1)
    update = DannUpdate(network, judge, method_context().train_spec, PARAMS["dann"])
    (term,) = update.terms(given)
    outputs = [
        TappedStudent(network, "all_crops")(half.crops) for half in (given.real, given.synthetic)
    ]
    real, synthetic = (
        cross_entropy(part, half.labels).item()
        for part, half in zip(outputs, (given.real, given.synthetic), strict=True)
    )
    domain_losses = [
        domain_loss(judge(part.features), synthetic=kind).item()
        for part, kind in zip(outputs, (False, True), strict=True)
    ]
    assert term.loss.item() == pytest.approx(
        (2 * real + 6 * synthetic) / 8 + sum(domain_losses) / 2, rel=1e-5
    )
    assert len(term.labels) == len(term.logits) == 8


def test_without_weight_the_discriminator_changes_no_student():
    plain = method_context(dann=replace(PARAMS["dann"], weight=0.0))
    wider = method_context(dann=replace(PARAMS["dann"], weight=0.0, hidden=(3,)))
    strong = method_context(dann=replace(PARAMS["dann"], weight=5.0))
    first, same, other = (learned(given, dann, one())[0] for given in (plain, wider, strong))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_it_learns_real_labels():
    given = method_context()
    first, other = (learned(each, dann, one())[0] for each in (given, relabelled(given)))
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_one_and_two_processes_and_parts_take_the_same_steps(tmp_path):
    whole = learned(method_context(), dann, one())[0]
    halved = learned(method_context(accumulate=2), dann, one())[0]
    assert apart(whole, halved) < 1e-3
    shared = in_two_processes(
        tmp_path / "state.pt", lambda acc: learned(method_context(), dann, acc)[0]
    )
    assert apart(whole, shared) < 1e-3

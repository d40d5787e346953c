from dataclasses import replace

import pytest
import torch
from adversarial_case import PARAMS, method_context, relabelled
from guided_case import apart, in_two_processes, learned, one, student
from torch.func import functional_call
from torch.nn import functional

from synthgap.guidance.domains import DomainBatch, DomainRows
from synthgap.guidance.ltda import LtdaUpdate, class_weights, ltda
from synthgap.models.build import build_student
from synthgap.params.sections import Student

EQUAL = torch.ones(2)


@pytest.fixture
def pair():
    draw = torch.Generator().manual_seed(0)
    halves = [
        DomainRows(
            [torch.randn(count, 3, 16, 16, generator=draw).double()],
            torch.arange(count) % 2,
            torch.arange(count),
            1.0,
        )
        for count in (3, 5)
    ]
    return DomainBatch(*halves, 0.5)


def update(network, params=PARAMS["ltda"], of_classes=EQUAL):
    return LtdaUpdate(network, method_context().train_spec, params, of_classes.double(), one())


def real_loss_after(network, pair, weights):
    """Of real rows after a step by the mean weighted loss of synthetic ones, by hand."""
    names = [name for name, _ in network.named_parameters()]
    losses = functional.cross_entropy(
        network(pair.synthetic.crops[0]), pair.synthetic.labels, reduction="none"
    )
    step = torch.autograd.grad((weights * losses).mean(), list(network.parameters()))
    ahead = {
        name: parameter - PARAMS["ltda"].ahead_rate * part
        for name, parameter, part in zip(names, network.parameters(), step, strict=True)
    }
    logits = functional_call(network, ahead, (pair.real.crops[0],))
    return functional.cross_entropy(logits, pair.real.labels)


def test_own_weights_are_the_derivative_by_small_differences(pair):
    """The real loss after a step, with every row's weight a little more and a little less."""
    network = student().double()
    (term,) = update(network).terms(pair)
    losses = functional.cross_entropy(
        network(pair.synthetic.crops[0]), pair.synthetic.labels, reduction="none"
    ).detach()
    rows, small, own = len(losses), 1e-4, []
    for row in range(rows):
        nudge = torch.zeros(rows).double()
        nudge[row] = small
        more, less = (real_loss_after(network, pair, 1 + sign * nudge).item() for sign in (1, -1))
        own.append(-PARAMS["ltda"].weight_rate * rows * (more - less) / (2 * small))
    weights = 1 + torch.tensor(own).double()
    assert weights.std() > 0.01  # else nothing is tested
    assert weights.min() > 0
    assert term.loss.item() == pytest.approx((weights * losses).mean().item(), rel=1e-6)


def test_the_followed_gradient_is_of_losses_alone(pair):
    """Weights are numbers: no gradient passes through how they were found."""
    network = student().double()
    weighted = update(network)
    (term,) = weighted.terms(pair)
    found = torch.autograd.grad(term.loss, weighted.parameters)
    losses = functional.cross_entropy(
        network(pair.synthetic.crops[0]), pair.synthetic.labels, reduction="none"
    )
    (again,) = weighted.terms(pair)
    by_logit = torch.autograd.grad(again.loss, again.logits)[0]
    slope = again.logits.softmax(dim=1) - functional.one_hot(again.labels, 2)
    each = (by_logit / slope)[:, 0].detach()  # weights / rows
    wanted = torch.autograd.grad((each * losses).sum(), weighted.parameters)
    for one_found, one_wanted in zip(found, wanted, strict=True):
        torch.testing.assert_close(one_found, one_wanted, rtol=1e-5, atol=1e-9)


def test_a_helpful_image_weighs_more_than_a_mislabelled_copy_of_it(pair):
    network = student().double()
    picture = pair.real.crops[0][:1]
    labels = torch.tensor([int(pair.real.labels[0]), 1 - int(pair.real.labels[0])])
    twins = DomainRows([torch.cat([picture, picture])], labels, torch.arange(2), 1.0)
    real = replace(pair.real, crops=[picture], labels=pair.real.labels[:1])
    (term,) = update(network).terms(DomainBatch(real, twins, 0.5))
    weights = torch.autograd.grad(term.loss, term.logits)[0]
    slope = network(twins.crops[0]).softmax(dim=1) - functional.one_hot(labels, 2)
    right, wrong = (2 * weights / slope)[:, 0].tolist()
    assert right > 1 > wrong


def test_no_image_counts_less_than_nothing(pair):
    network = student().double()
    (term,) = update(network, replace(PARAMS["ltda"], weight_rate=1e6)).terms(pair)
    by_logit = torch.autograd.grad(term.loss, term.logits)[0]
    slope = term.logits.softmax(dim=1) - functional.one_hot(term.labels, 2)
    weights = (by_logit / slope)[:, 0]
    assert weights.min() == 0
    assert weights.max() > 0


def test_without_weight_rate_or_real_rows_it_is_plain_training(pair):
    network = student().double()
    losses = functional.cross_entropy(network(pair.synthetic.crops[0]), pair.synthetic.labels)
    still = update(network, replace(PARAMS["ltda"], weight_rate=0.0))
    for term in (*still.terms(pair), *update(network).terms(replace(pair, real=None))):
        torch.testing.assert_close(term.loss, losses)


def test_running_statistics_see_synthetic_images_once(pair):
    networks = [student(norm="batchnorm2d").double().train() for _ in range(2)]
    list(update(networks[0]).terms(pair))
    networks[1](pair.synthetic.crops[0])
    first, second = (network.state_dict() for network in networks)
    for name in first:
        torch.testing.assert_close(first[name], second[name])


def test_attention_has_a_second_derivative(pair):
    options = {"embed_dim": 16, "depth": 1, "num_heads": 2, "patch_size": 8, "img_size": 16}
    spec = Student("vit_tiny_patch16_224", options, "imagenet", "random", None, "linear", 1.0)
    (term,) = update(build_student(spec, 2, seed=1).double()).terms(pair)
    assert torch.isfinite(term.loss)


def test_class_weights_are_those_of_effective_numbers():
    labels = torch.tensor([0] * 100 + [1] * 10 + [2])
    effective = torch.tensor([sum(0.9**k for k in range(n)) for n in (100, 10, 1)])
    wanted = 1 / effective
    torch.testing.assert_close(class_weights(labels, 3, beta=0.9), wanted / wanted.mean())
    balanced = torch.arange(30) % 3
    torch.testing.assert_close(class_weights(balanced, 3, beta=0.999), torch.ones(3))
    torch.testing.assert_close(class_weights(labels, 3, beta=0.0), torch.ones(3))
    assert torch.isfinite(class_weights(labels, 5, beta=0.9)).all()


def test_real_labels_choose_weights():
    given = method_context()
    first, other = (learned(each, ltda, one())[0] for each in (given, relabelled(given)))
    assert any(not torch.equal(first[name], other[name]) for name in first)
    still = [
        replace(each, guide=replace(each.guide, ltda=replace(PARAMS["ltda"], weight_rate=0.0)))
        for each in (given, relabelled(given))
    ]
    first, other = (learned(each, ltda, one())[0] for each in still)
    assert all(torch.equal(first[name], other[name]) for name in first)


def by_weights(given):
    return ltda(given)[1:]


def test_one_and_two_processes_take_the_same_steps(tmp_path):
    whole = learned(method_context(), by_weights, one())[0]
    shared = in_two_processes(
        tmp_path / "state.pt", lambda acc: learned(method_context(), by_weights, acc)[0]
    )
    assert apart(whole, shared) < 1e-3

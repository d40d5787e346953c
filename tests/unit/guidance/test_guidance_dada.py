import math

import pytest
import torch
from adversarial_case import PARAMS, gradient, method_context, rows
from guided_case import learned, one, student

from synthgap.guidance.dada import (
    DadaUpdate,
    WidenedClassifier,
    dada,
    domain_classifier,
    entropy,
    source_like_loss,
    source_loss,
    target_loss,
)
from synthgap.guidance.discriminator import ramp
from synthgap.guidance.domains import DomainBatch, DomainRows
from synthgap.guidance.forward import TappedStudent
from synthgap.models.activations import feature_size
from synthgap.models.head import CosineClassifier

NUM_ROWS, CATEGORIES = 6, 4
LABELS = torch.arange(NUM_ROWS) % CATEGORIES


def slow_source_loss(logits):
    total = 0.0
    for row, label in zip(logits.tolist(), LABELS.tolist(), strict=True):
        powers = [math.exp(value) for value in row]
        p, d = powers[label] / sum(powers), powers[-1] / sum(powers)
        total -= (1 - d) * math.log(p) + d * math.log(1 - p)
    return total / NUM_ROWS


def slow_target_loss(logits, *, inverted):
    total = 0.0
    for row in logits.tolist():
        categories = [math.exp(value) for value in row[:-1]]
        for power in categories:
            real = math.exp(row[-1]) / (math.exp(row[-1]) + power)
            total -= power / sum(categories) * math.log(1 - real if inverted else real)
    return total / NUM_ROWS


def slow_entropy(logits):
    total = 0.0
    for row in logits.tolist():
        powers = [math.exp(value) for value in row[:-1]]
        total -= sum(power / sum(powers) * math.log(power / sum(powers)) for power in powers)
    return total / NUM_ROWS


LOSSES = {
    "source": (lambda logits: source_loss(logits, LABELS), slow_source_loss),
    "target": (target_loss, lambda logits: slow_target_loss(logits, inverted=False)),
    "inverted": (source_like_loss, lambda logits: slow_target_loss(logits, inverted=True)),
    "entropy": (entropy, slow_entropy),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_loops_over_probabilities(name):
    fast, slow = LOSSES[name]
    logits = rows(NUM_ROWS, CATEGORIES + 1)
    assert fast(logits).item() == pytest.approx(slow(logits), rel=1e-12)
    torch.autograd.gradcheck(fast, (logits,))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_certain_answers_are_numbers(name):
    fast, _ = LOSSES[name]
    logits = (200 * rows(NUM_ROWS, CATEGORIES + 1, seed=2)).detach().float().requires_grad_()
    loss = fast(logits)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient(loss, logits)[0]).all()


def test_category_and_domain_inhibit_each_other():
    """Where the label is likely, seeming real costs; where an image seems real, the label does."""
    likely = torch.tensor([[3.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    (of_likely,) = gradient(source_loss(likely, torch.tensor([0])), likely)
    assert of_likely[0, 2] > 0
    seems_real = torch.tensor([[0.0, 0.0, 3.0]], dtype=torch.float64, requires_grad=True)
    p, d = seems_real.softmax(dim=1)[0, [0, 2]].tolist()
    expected = -(1 - d) * math.log(p) - d * math.log(1 - p)
    assert source_loss(seems_real, torch.tensor([0])).item() == pytest.approx(expected)
    assert expected < -math.log(p)  # an image that is taken for real owes less to its label


def test_what_the_encoder_wants_of_real_images_is_what_the_classifier_fights():
    real_looking, synthetic_looking = torch.zeros(2, 1, 3)
    real_looking[:, -1], synthetic_looking[:, -1] = 5.0, -5.0
    assert target_loss(real_looking) < target_loss(synthetic_looking)
    assert source_like_loss(real_looking) > source_like_loss(synthetic_looking)
    assert target_loss(torch.zeros(1, 3)).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    "head",
    [CosineClassifier(5, 3, temperature=0.1), torch.nn.Linear(5, 3)],
    ids=["cosine", "linear"],
)
def test_the_whole_classifier_is_one_of_one_more_output(head):
    whole, features = WidenedClassifier(head, seed=1).double(), rows(4, 5)
    joint = type(head)(5, 4, **({"temperature": 0.1} if isinstance(head, CosineClassifier) else {}))
    joint.double().load_state_dict(
        {
            name: torch.cat([value, whole.domain.state_dict()[name]])
            for name, value in head.state_dict().items()
        }
    )
    torch.testing.assert_close(whole(features), joint(features).float())
    fixed = whole.fixed(features)
    assert torch.equal(fixed, whole(features))
    assert gradient(fixed.sum(), features)[0].abs().max() > 0
    with pytest.raises(RuntimeError, match="not have been used"):
        gradient(whole.fixed(features).sum(), head.weight)
    assert type(domain_classifier(head)) is type(head)


def test_classifier_and_encoder_follow_opposite_losses():
    """One backward pass gives both gradients, each as if it had been taken alone."""
    network, draw = student(), torch.Generator().manual_seed(3)
    train_spec = method_context().train_spec
    whole = WidenedClassifier(network.get_submodule("fc"), seed=1)
    update = DadaUpdate(network, whole, train_spec, PARAMS["dada"])
    halves = [
        DomainRows([torch.randn(4, 3, 16, 16, generator=draw)], labels, torch.arange(4), 1.0)
        for labels in (torch.full((4,), -1), torch.arange(4) % 2)
    ]
    pair = DomainBatch(*halves, progress=0.2)
    (term,) = update.terms(pair)
    found = torch.autograd.grad(term.loss, update.parameters)

    tapped, strength = TappedStudent(network, "all_crops"), ramp(0.2, 10.0)
    real, synthetic = (whole(tapped(half.crops).features) for half in halves)
    labels = halves[1].labels
    least = strength * (source_loss(synthetic, labels) + target_loss(real)) + entropy(real)
    most = strength * (source_loss(synthetic, labels) - source_like_loss(real)) - entropy(real)
    heads = [*network.get_submodule("fc").parameters(), *whole.domain.parameters()]
    ids = {id(parameter) for parameter in heads}
    of_least = torch.autograd.grad(least, update.parameters, retain_graph=True)
    of_most = torch.autograd.grad(most, update.parameters, allow_unused=True)
    for parameter, one_found, down, up in zip(
        update.parameters, found, of_least, of_most, strict=True
    ):
        wanted = down if id(parameter) in ids else -up
        torch.testing.assert_close(one_found, wanted, rtol=1e-4, atol=1e-6)


def test_the_student_keeps_its_own_outputs():
    given = method_context(labels=False)
    state, epochs = learned(given, dada, one())
    assert state.keys() == given.student.state_dict().keys()
    assert state["fc.weight"].shape == (2, feature_size(given.student))
    assert [epoch.number for epoch in epochs] == [1, 1]  # source training, then the game

import math

import pytest
import torch
from adversarial_case import gradient, rows
from guided_case import images, student

from synthgap.guidance.discriminator import (
    Discriminator,
    domain_loss,
    only_global_crops,
    ramp,
    reverse_gradient,
    seeded_network,
)
from synthgap.guidance.domains import DomainBatch, DomainRows
from synthgap.guidance.forward import TappedStudent, forward_domains


def slow_domain_loss(logits, *, synthetic):
    """Of every row by its probability, as the papers print it."""
    losses = []
    for logit in logits.tolist():
        of_synthetic = 1 / (1 + math.exp(-logit))
        losses.append(-math.log(of_synthetic if synthetic else 1 - of_synthetic))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("synthetic", [True, False])
def test_the_domain_loss_is_the_printed_one(synthetic):
    logits = rows(7, 1)[:, 0]
    found = domain_loss(logits, synthetic=synthetic)
    assert found.item() == pytest.approx(slow_domain_loss(logits, synthetic=synthetic), rel=1e-12)
    torch.autograd.gradcheck(lambda given: domain_loss(given, synthetic=synthetic), (logits,))


def test_who_cannot_tell_pays_a_bit_for_either_kind():
    undecided = torch.zeros(5)
    for synthetic in (True, False):
        assert float(domain_loss(undecided, synthetic=synthetic)) == pytest.approx(math.log(2))


def test_certain_and_wrong_is_a_number():
    assert float(domain_loss(torch.tensor([-200.0]), synthetic=True)) == pytest.approx(200)


def test_a_reversed_gradient_is_the_other_way_and_the_value_stays():
    features = rows(4, 3)
    weight = rows(3, 1, seed=1)
    there = reverse_gradient(features, 0.25)
    assert torch.equal(there, features)
    (plain,) = gradient((features @ weight).square().sum(), features)
    (turned,) = gradient((reverse_gradient(features, 0.25) @ weight).square().sum(), features)
    torch.testing.assert_close(turned, -0.25 * plain, rtol=1e-12, atol=0)
    (of_weight,) = gradient((features @ weight).square().sum(), weight)
    (same,) = gradient((reverse_gradient(features, 0.25) @ weight).square().sum(), weight)
    assert torch.equal(of_weight, same)  # the discriminator itself learns at full strength


def test_the_ramp_is_the_paper_s():
    assert ramp(0.0, 10.0) == 0.0
    assert ramp(0.1, 10.0) == pytest.approx(2 / (1 + math.exp(-1)) - 1)
    assert ramp(1.0, 10.0) == pytest.approx(0.9999092, abs=1e-6)
    values = [ramp(step / 20, 10.0) for step in range(21)]
    assert values == sorted(values)


def test_a_discriminator_sees_directions_alone():
    judge = seeded_network(lambda: Discriminator(6, (5, 4)), seed=1).double()
    features = rows(3, 6)
    assert judge(features).shape == (3,)
    torch.testing.assert_close(judge(7 * features), judge(features))
    assert [tuple(layer.weight.shape) for layer in judge.layers[::2]] == [(5, 6), (4, 5), (1, 4)]
    assert torch.isfinite(judge(torch.zeros(2, 6).double())).all()


def test_extra_networks_have_randomness_of_their_own():
    before = torch.get_rng_state()
    first, same, other = (
        seeded_network(lambda: Discriminator(6, ()), seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.get_rng_state())
    weight = first.layers[0].weight
    assert torch.equal(weight, same.layers[0].weight)
    assert not torch.equal(weight, other.layers[0].weight)


def halves(sizes=(16, 8), counts=(1, 2)):
    """Three real and five synthetic rows, in crops of each size."""
    draw = torch.Generator().manual_seed(0)

    def half(num_rows, start):
        crops = [
            torch.randn(count * num_rows, 3, size, size, generator=draw)
            for size, count in zip(sizes, counts, strict=True)
        ]
        labels = images(num_rows, 0).labels
        return DomainRows(crops, labels, torch.arange(start, start + num_rows), 1.0)

    return DomainBatch(half(3, 0), half(5, 3), 0.5)


def test_seen_together_is_seen_apart_where_rows_do_not_see_each_other():
    pair, tapped = halves(), TappedStudent(student(), "all_crops")
    real, synthetic = forward_domains(tapped, pair)
    for found, half in ((real, pair.real), (synthetic, pair.synthetic)):
        alone = tapped(half.crops)
        torch.testing.assert_close(found.logits, alone.logits)
        torch.testing.assert_close(found.features, alone.features)


def test_seen_together_batch_norm_sees_both():
    pair, network = halves((16,), (1,)), student(norm="batchnorm2d")
    network.train()
    real, _ = forward_domains(TappedStudent(network, "all_crops"), pair)
    alone = TappedStudent(network, "all_crops")(pair.real.crops)
    assert not torch.allclose(real.logits, alone.logits)


@pytest.mark.parametrize("kind", ["real", "synthetic"])
def test_one_kind_alone_is_seen_alone(kind):
    whole, tapped = halves(), TappedStudent(student(), "all_crops")
    only = {"real": None, "synthetic": None, kind: getattr(whole, kind)}
    outputs = dict(
        zip(
            ("real", "synthetic"),
            forward_domains(tapped, DomainBatch(**only, progress=0)),
            strict=True,
        )
    )
    assert [name for name, part in outputs.items() if part is not None] == [kind]
    assert torch.equal(outputs[kind].logits, tapped(getattr(whole, kind).crops).logits)


def test_global_crops_leave_the_rows():
    pair = only_global_crops(halves())
    assert [len(half.crops) for half in (pair.real, pair.synthetic)] == [1, 1]
    assert len(pair.real.indices) == 3

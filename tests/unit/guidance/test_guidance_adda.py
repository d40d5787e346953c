import copy
from dataclasses import replace

import pytest
import torch
from adversarial_case import PARAMS, hidden, method_context, relabelled
from guided_case import apart, in_two_processes, learned, one, student

from synthgap.guidance.adda import DiscriminatorUpdate, EncoderUpdate, adda
from synthgap.guidance.discriminator import Discriminator, domain_loss, seeded_network
from synthgap.guidance.domains import DomainBatch, DomainRows
from synthgap.guidance.forward import TappedStudent
from synthgap.training.checkpointing import Checkpointer
from synthgap.training.loop import fit


@pytest.fixture
def players():
    """(source, target, discriminator, a pair of 3 real and 5 synthetic rows)."""
    draw = torch.Generator().manual_seed(0)
    halves = [
        DomainRows(
            [torch.randn(count, 3, 16, 16, generator=draw)], labels, torch.arange(count), share
        )
        for count, labels, share in (
            (3, torch.full((3,), -1), 0.5),
            (5, torch.arange(5) % 2, 0.25),
        )
    ]
    judge = seeded_network(lambda: Discriminator(8, (8,)), seed=1)
    return student(1), student(2), judge, DomainBatch(*halves, 0.5)


def test_the_discriminator_learns_source_from_target(players):
    source, target, judge, pair = players
    update = DiscriminatorUpdate(
        TappedStudent(source, "all_crops"), TappedStudent(target, "all_crops"), judge
    )
    terms = list(update.terms(pair))
    assert [term.share for term in terms] == [0.25, 0.5]
    of_source = judge(TappedStudent(source, "all_crops")(pair.synthetic.crops).features)
    of_target = judge(TappedStudent(target, "all_crops")(pair.real.crops).features)
    assert torch.equal(terms[0].loss, domain_loss(of_source, synthetic=True))
    assert torch.equal(terms[1].loss, domain_loss(of_target, synthetic=False))
    assert {id(parameter) for parameter in update.parameters} == set(map(id, judge.parameters()))
    encoders = [*source.parameters(), *target.parameters()]
    for term in terms:
        found = torch.autograd.grad(term.loss, encoders, allow_unused=True, retain_graph=True)
        assert all(part is None for part in found)


def test_the_encoder_learns_by_inverted_labels_and_the_classifier_does_not(players):
    _, target, judge, pair = players
    update = EncoderUpdate(TappedStudent(target, "all_crops"), target, judge)
    (term,) = update.terms(pair)
    domain_logits = judge(TappedStudent(target, "all_crops")(pair.real.crops).features)
    assert torch.equal(term.loss, domain_loss(domain_logits, synthetic=True))
    assert term.share == 0.5
    names = {id(parameter): name for name, parameter in target.named_parameters()}
    moving = {names[id(parameter)] for parameter in update.parameters}
    assert set(names.values()) - moving == {"fc.weight", "fc.bias"}
    assert torch.equal(term.labels, pair.synthetic.labels)
    assert torch.equal(term.logits, target.eval()(pair.synthetic.crops[0]))


def test_scoring_synthetic_images_teaches_batch_norm_nothing(players):
    judge, pair = players[2:]
    networks = [student(1, norm="batchnorm2d") for _ in range(2)]
    for network, given in zip(networks, (pair, replace(pair, synthetic=None)), strict=True):
        network.train()
        list(EncoderUpdate(TappedStudent(network, "all_crops"), network, judge).terms(given))
        assert network.training
    first, second = (network.state_dict() for network in networks)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["bn1.num_batches_tracked"] == 1


def test_after_source_training_only_the_encoder_moves():
    given = method_context(labels=False)
    source, game = adda(given)
    network = copy.deepcopy(given.student)
    list(fit(network, source.train_spec, one()))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    list(fit(network, game.train_spec, one(), train_step=game.train_step))
    after = network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"fc.weight", "fc.bias"}.isdisjoint(moved)
    assert moved


def test_the_source_encoder_stays_and_is_kept(tmp_path):
    given = method_context(labels=False)
    game = adda(given)[1]
    network = copy.deepcopy(given.student)
    list(
        fit(
            network,
            game.train_spec,
            one(),
            Checkpointer(tmp_path / "state.pt", 1),
            train_step=game.train_step,
        )
    )
    kept = torch.load(tmp_path / "state.pt", weights_only=True)["model"]
    start = given.student.state_dict()
    assert all(torch.equal(kept[f"source.{name}"], value) for name, value in start.items())
    assert any(name.startswith("discriminator.") for name in kept)


def test_real_labels_make_no_difference():
    given = method_context()
    states = [learned(each, adda, one())[0] for each in (given, relabelled(given), hidden(given))]
    for name, value in states[0].items():
        assert all(torch.equal(value, other[name]) for other in states[1:])


def test_rates_are_factors():
    still = method_context(labels=False, adda=replace(PARAMS["adda"], rate=1e-12))
    network = copy.deepcopy(still.student)
    game = adda(still)[1]
    list(fit(network, game.train_spec, one(), train_step=game.train_step))
    for name, value in still.student.named_parameters():
        torch.testing.assert_close(network.get_parameter(name), value, rtol=0, atol=1e-9)


def the_game(given):
    return adda(given)[1:]


def test_one_and_two_processes_and_parts_take_the_same_steps(tmp_path):
    whole = learned(method_context(labels=False), the_game, one())[0]
    halved = learned(method_context(labels=False, accumulate=2), the_game, one())[0]
    assert apart(whole, halved) < 1e-3
    shared = in_two_processes(
        tmp_path / "state.pt", lambda acc: learned(method_context(labels=False), the_game, acc)[0]
    )
    assert apart(whole, shared) < 1e-3

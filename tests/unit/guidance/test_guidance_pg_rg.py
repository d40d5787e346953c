"""PG, RG and A-GEM as steps of a real training, beside the same step written out in full."""

import copy
from dataclasses import replace

import guided_case as case
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.nn import functional

from synthgap.errors import TrainingError
from synthgap.guidance import pg_rg
from synthgap.guidance.baselines import a_gem
from synthgap.guidance.losses import pairwise_loss
from synthgap.models.frozen_prefix import freeze, prefix_names
from synthgap.models.units import units_of
from synthgap.params.guidance import Rg, Weights
from synthgap.training.batch_loader import BatchLoader
from synthgap.training.loop import fit

REAL, SYNTHETIC = pg_rg.DOMAINS
METHODS = {  # by name: kinds that follow the reference, whether gradients are projected
    "pg": (pg_rg.pg, pg_rg.DOMAINS, False),
    "pg-r": (pg_rg.pg_r, [REAL], False),
    "pg-f": (pg_rg.pg_f, [SYNTHETIC], False),
    "pg-l1": (pg_rg.pg_l1, [SYNTHETIC], False),
    "pg-kl": (pg_rg.pg_kl, [SYNTHETIC], False),
    "rg": (pg_rg.rg, [], True),
    "rg-pg-r": (pg_rg.rg_pg_r, [REAL], True),
    "rg-pg-f": (pg_rg.rg_pg_f, [SYNTHETIC], True),
    "rg-pg": (pg_rg.rg_pg, pg_rg.DOMAINS, True),
}
EVERY = [pytest.param(*given, id=name) for name, given in METHODS.items()]


@pytest.fixture
def accelerator():
    return case.one()


def slow_losses(model, given, parts, followed):
    """Sums of cross-entropy over images, how many there are, and PG, by kind, part by part."""
    for batch in parts:
        rows = len(batch.indices)
        for kind in pg_rg.DOMAINS:
            mine = [i for i in range(rows) if (batch.indices[i] < given.num_real) == (kind == REAL)]
            if not mine:
                continue
            crops = [crop.unflatten(0, (-1, rows))[:, mine].flatten(0, 1) for crop in batch.crops]
            features = [model.forward_features(crop) for crop in crops]
            features = [model.forward_head(found, pre_logits=True) for found in features]
            logits = torch.cat([model.fc(found) for found in features])
            labels = batch.targets.labels[mine].repeat(len(logits) // len(mine))
            loss = functional.cross_entropy(logits, labels) * len(mine)
            pg = torch.zeros(())
            if kind in followed:
                normal = given.train_spec.normalisation
                mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (normal.mean, normal.std))
                wanted = given.references["tutor"].features(crops[0] * std + mean)
                pg = pairwise_loss(features[0], wanted, given.guide.pg) * given.guide.pg.weight
            yield kind, loss, len(mine), pg / len(parts)


def slow_gradient(model, given, parts, followed, projects):
    """Flat, over what is not frozen."""
    found = list(slow_losses(model, given, parts, followed))
    count = {kind: sum(n for one, _, n, _ in found if one == kind) for kind in pg_rg.DOMAINS}
    flat = {}
    for kind in pg_rg.DOMAINS:
        of_all = count[kind] if projects else sum(count.values())
        terms = [loss / of_all + pg for one, loss, _, pg in found if one == kind]
        model.zero_grad()
        if terms:
            sum(terms).backward(retain_graph=True)
        flat[kind] = torch.cat(
            [
                (torch.zeros_like(p) if p.grad is None else p.grad).flatten()
                for p in model.parameters()
                if p.requires_grad
            ]
        )
    real, synthetic = flat[REAL].double(), flat[SYNTHETIC].double()
    if not projects:
        return real + synthetic
    rg, product = given.guide.rg, real @ synthetic
    if product < 0:
        synthetic = synthetic - product / (real @ real) * real
    return rg.lambda_1 * real + rg.lambda_2 * synthetic


def slow_step(given, method, followed, projects):
    """State after one step of SGD, whose momentum has nothing to remember yet."""
    model = copy.deepcopy(given.student).train()
    (phase,) = method(given)
    loader = BatchLoader.of(model, phase.train_spec, case.one(), remembers=False)
    _, parts = next(iter(loader.steps(1, after=0)))
    gradient = slow_gradient(model, given, parts, followed, projects)
    settings = given.train_spec.training
    with torch.no_grad():
        for parameter in (p for p in model.parameters() if p.requires_grad):
            own, gradient = gradient[: parameter.numel()], gradient[parameter.numel() :]
            decay = settings.weight_decay * parameter if parameter.ndim > 1 else 0
            parameter.sub_(settings.base_lr * (own.float().view_as(parameter) + decay))
    return model.state_dict()


@pytest.mark.parametrize(("method", "followed", "projects"), EVERY)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_is_the_printed_one(accelerator, method, followed, projects, accumulate):
    similarity = "l1" if method is pg_rg.pg_l1 else "kl"
    given = case.method_context(accumulate=accumulate, pg=replace(case.PG, similarity=similarity))
    state, _ = case.learned(given, method, accelerator, steps=1)
    assert case.apart(state, slow_step(given, method, followed, projects)) < 1e-4


def test_methods_are_not_each_other(accelerator):
    given = case.method_context()
    methods = {name: method for name, (method, _, _) in METHODS.items()} | {"a-gem": a_gem}
    states = {
        name: case.learned(given, method, accelerator, steps=1)[0]
        for name, method in methods.items()
    }
    names = list(states)
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            assert case.apart(states[name], states[other]) > 1e-3, (name, other)


def test_a_gem_is_rg_with_nothing_of_the_real_gradient(accelerator):
    given = case.method_context()
    as_rg = case.method_context(rg=Rg(0.0, 1.0, "whole"))
    states = [
        case.learned(one, m, accelerator)[0] for one, m in [(given, a_gem), (as_rg, pg_rg.rg)]
    ]
    assert case.moved(*states) == 0
    assert case.apart(case.learned(given, pg_rg.rg, accelerator)[0], states[0]) > 1e-3


@pytest.mark.parametrize(("method", "plain"), [(pg_rg.pg, None), (pg_rg.rg_pg, pg_rg.rg)])
def test_with_no_weight_pg_adds_nothing(accelerator, method, plain):
    given = case.method_context(pg=replace(case.PG, lambda_3=Weights(0.0, 0.0)))
    state, _ = case.learned(given, method, accelerator)
    if plain is not None:
        other, _ = case.learned(given, plain, accelerator)
    else:  # the ordinary training over the same batches
        model = copy.deepcopy(given.student)
        list(fit(model, given.both(), accelerator))
        other = model.state_dict()
    assert case.apart(other, state) < 1e-4


@pytest.mark.parametrize("similarity", ["l1", "kl"])
@pytest.mark.parametrize("distance", ["cosine", "l2"])
def test_who_follows_itself_is_left_alone(accelerator, distance, similarity):
    """The reference is the student's own start: the first step has nothing to follow."""
    pg = replace(case.PG, distance=distance, similarity=similarity)
    given, free = (case.method_context(pg=replace(pg, lambda_3=Weights(w, w))) for w in (1.0, 0.0))
    twin = copy.deepcopy(given.student).eval().requires_grad_(False)
    normal = given.train_spec.normalisation
    inputs = replace(given.references["tutor"].preprocessing, mean=normal.mean, std=normal.std)
    tutor = replace(given.references["tutor"], network=twin, preprocessing=inputs)
    itself, anybody = ({"tutor": tutor}, given.references)
    (apart, _), (own, itself_followed), (_, others) = (
        case.learned(replace(one, references=by), pg_rg.pg, accelerator, steps=1)
        for one, by in [(free, itself), (given, itself), (given, anybody)]
    )
    alone = case.learned(free, pg_rg.pg, accelerator, steps=1)[1]
    losses = [epochs[0].metrics["train/loss"] for epochs in (alone, itself_followed, others)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert losses[2] > losses[0] + 1e-3
    if similarity == "kl":  # at its kink, L1 has a gradient wherever rounding differs
        assert case.apart(apart, own) < 1e-4


@pytest.mark.parametrize("tap", [1, 3])
def test_taps_choose_what_is_compared(accelerator, tap):
    """A tap after some units says nothing of the units that follow."""
    heavy = replace(case.PG, tap=tap, reference_tap=tap, lambda_3=Weights(1e4, 1e4))
    given = case.method_context(pg=heavy, base_lr=1e-6)
    free = case.method_context(pg=replace(heavy, lambda_3=Weights(0.0, 0.0)), base_lr=1e-6)
    states = [case.learned(one, pg_rg.pg, accelerator, steps=1)[0] for one in (given, free)]
    units = units_of(given.student)
    for index, unit in enumerate(units):
        change = max(float((states[0][n] - states[1][n]).abs().max()) for n in unit.parameters)
        assert (change > 0) == (index < tap), unit.name


def test_zero_shot_never_sees_a_real_image(accelerator):
    given = case.method_context()
    other = case.method_context()
    other.train_spec.images.images[: case.NUM_REAL] = 0
    for method in (pg_rg.pg_l1, pg_rg.pg_kl):
        states = [case.learned(one, method, accelerator)[0] for one in (given, other)]
        assert case.moved(*states) == 0
    none = case.method_context(num_real=0)
    alike = [case.learned(none, m, accelerator)[0] for m in (pg_rg.pg, pg_rg.pg_f, pg_rg.pg_kl)]
    assert case.moved(alike[0], alike[1]) == case.moved(alike[0], alike[2]) == 0


@pytest.mark.parametrize(("method", "followed", "projects"), EVERY)
@pytest.mark.parametrize("projection", ["whole", "unit"])
def test_a_frozen_prefix_stays_and_the_rest_learns(
    accelerator, method, followed, projects, projection
):
    given = case.method_context(rg=replace(case.RG, projection=projection))
    freeze(given.student, 3)
    before = {name: value.clone() for name, value in given.student.state_dict().items()}
    state, _ = case.learned(given, method, accelerator)
    kept = set(prefix_names(given.student, 3))
    assert all(torch.equal(before[name], state[name]) for name in kept)
    assert all(
        not torch.equal(before[n], state[n]) for n in before if n not in kept and "bias" in n
    )
    if projection == "whole" and method is pg_rg.rg_pg:
        one, _ = case.learned(given, method, accelerator, steps=1)
        assert case.apart(one, slow_step(given, method, followed, projects)) < 1e-4


def test_everything_frozen_is_no_step_and_no_fault(accelerator):
    given = case.method_context()
    freeze(given.student, len(units_of(given.student)))
    before = {name: value.clone() for name, value in given.student.state_dict().items()}
    for method in (pg_rg.pg, pg_rg.rg_pg):
        assert case.moved(before, case.learned(given, method, accelerator)[0]) == 0


def test_units_of_a_frozen_prefix_are_no_groups(accelerator):
    network = case.student()
    whole = pg_rg.unit_groups(network, Rg(1.0, 1.0, "unit"))
    assert [len(group) for group in whole] == [len(unit.parameters) for unit in units_of(network)]
    freeze(network, 2)
    left = pg_rg.unit_groups(network, Rg(1.0, 1.0, "unit"))
    count = len(pg_rg.trainable_parameters(network))
    assert sorted(i for group in left for i in group) == list(range(count))
    assert [len(group) for group in left] == [len(group) for group in whole[2:]]
    assert pg_rg.unit_groups(network, case.RG) is None


def test_one_image_alone_is_no_batch_to_batch_norm(accelerator):
    given = case.method_context(real_share=1 / 12)
    normed = replace(given, student=case.student(norm="batchnorm"))
    message = r"lesson: 1 real image in a part of a batch, expected at least 2 .* guide.real_share"
    with pytest.raises(TrainingError, match=message):
        case.learned(normed, pg_rg.rg, accelerator)
    case.learned(normed, pg_rg.pg, accelerator)
    case.learned(given, pg_rg.rg, accelerator)


@pytest.mark.parametrize("method", [pg_rg.pg, pg_rg.rg_pg], ids=["pg", "rg-pg"])
def test_half_precision_takes_about_the_same_step(accelerator, method):
    given = case.method_context()
    whole, _ = case.learned(given, method, accelerator, steps=1)
    AcceleratorState._reset_state(reset_partial_state=True)
    half = Accelerator(cpu=True, mixed_precision="bf16")
    state, epochs = case.learned(given, method, half, steps=1)
    AcceleratorState._reset_state(reset_partial_state=True)
    assert all(value.dtype == torch.float32 for value in state.values())
    assert 0 < case.apart(whole, state) < 0.2
    assert epochs[0].metrics["train/loss"] > 0


def test_what_is_remembered_of_the_reference_is_what_it_would_say(accelerator, monkeypatch):
    given = case.method_context(augmentation="none")
    asked = []
    given.references["tutor"].network.register_forward_hook(lambda *_: asked.append(1))
    state, _ = case.learned(given, pg_rg.pg, accelerator)
    once = len(asked)
    longer = replace(given, train_spec=replace(given.train_spec, steps_per_epoch=9))
    case.learned(longer, pg_rg.pg, accelerator)
    assert len(asked) == 2 * once  # whatever is asked for is asked before the first step
    assert case.apart(state, case.learned(given, pg_rg.pg_f, accelerator)[0]) > 1e-3
    slow = slow_step(given, pg_rg.pg, pg_rg.DOMAINS, False)
    assert case.apart(case.learned(given, pg_rg.pg, accelerator, steps=1)[0], slow) < 1e-4


def two_steps(accelerator):
    """What methods learn, by case; of one real image in a batch, a process has none."""
    cases = {
        "halves": (case.method_context(), [*METHODS, "a-gem"]),
        "one real": (case.method_context(real_share=1 / 12), ["pg", "rg-pg", "a-gem"]),
        "parts": (case.method_context(accumulate=2), ["rg", "a-gem"]),
        "units": (case.method_context(rg=replace(case.RG, projection="unit")), ["rg"]),
    }
    found = {}
    for title, (given, names) in cases.items():
        for name in names:
            method = a_gem if name == "a-gem" else METHODS[name][0]
            state, epochs = case.learned(given, method, accelerator)
            found[title, name] = state, epochs[-1].metrics
    return found


def test_two_processes_take_the_steps_of_one(tmp_path):
    both = case.in_two_processes(tmp_path / "found", two_steps)
    alone = two_steps(case.one())
    for place, (state, metrics) in alone.items():
        assert case.apart(state, both[place][0]) < 1e-3, place
        assert both[place][1] == pytest.approx(metrics, rel=1e-4), place

"""Laws that every student keeps, whatever its family: a new family is tested by standing here."""

import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from synthgap.models.activations import feature_size, penultimate_features, unit_activations
from synthgap.models.build import build_student
from synthgap.models.frozen_prefix import freeze, load_frozen_prefix, prefix_names
from synthgap.models.head import classifier_name
from synthgap.models.prefix_cache import PrefixCache
from synthgap.models.units import num_parameters, unit_flops, units_of
from synthgap.params.sections import Student

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3}
FAMILIES = {
    "resnet10t": {"channels": (8, 8, 16, 16), "stem_width": 8},
    "resnet50": {"channels": (8, 8, 8, 8)},
    "tiny_vit_5m_224": {"embed_dims": (16, 16, 32, 32), "num_heads": (1, 1, 2, 2)},
    "vit_tiny_patch16_224": VIT,
    "deit3_small_patch16_224": VIT,
    "swin_tiny_patch4_window7_224": {
        "img_size": 32,
        "patch_size": 2,
        "window_size": 4,
        "embed_dim": 8,
        "depths": (1, 2, 1, 1),
        "num_heads": (1, 1, 2, 2),
    },
    "convnext_atto": {"dims": (8, 8, 16, 16), "depths": (1, 1, 2, 1)},
    "test_efficientnet": {},
    "mobilenetv3_small_050": {},
    "regnety_002": {"w0": 8, "wa": 8.0, "wm": 2.0, "group_size": 4, "depth": 6},
    "densenet121": {"growth_rate": 4, "block_config": (2, 2)},
}
NUM_UNITS = {
    "resnet10t": 6,
    "resnet50": 18,
    "tiny_vit_5m_224": 18,
    "vit_tiny_patch16_224": 5,
    "deit3_small_patch16_224": 5,
    "swin_tiny_patch4_window7_224": 7,
    "mobilenetv3_small_050": 14,
}
LINKED_THROUGHOUT = {"densenet121"}  # later layers see all earlier ones: a cut lies between blocks


def make(name, seed=1, head="cosine"):
    student = Student(name, FAMILIES[name], "imagenet", "random", None, head, 0.1)
    return build_student(student, 7, seed=seed)


def pictures(count=4, size_px=32):
    return torch.randn(count, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=FAMILIES)
def name(request):
    return request.param


def step(model):
    """One optimiser step in train mode, with weight decay and momentum at work."""
    model.train()
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(moving, lr=0.1, momentum=0.9, weight_decay=0.1)
    images = pictures(8)
    for _ in range(2):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), torch.arange(8) % 7).backward()
        optimizer.step()


def test_every_entry_is_in_exactly_one_unit_in_order(name):
    model = make(name)
    units = units_of(model)
    parameters = [entry for unit in units for entry in unit.parameters]
    buffers = [entry for unit in units for entry in unit.buffers]
    assert sorted(parameters) == sorted(entry for entry, _ in model.named_parameters())
    assert sorted(parameters + buffers) == sorted(model.state_dict())
    assert len({unit.name for unit in units}) == len(units)
    total = sum(parameter.numel() for parameter in model.parameters())
    assert sum(num_parameters(model, unit) for unit in units) == total
    assert units[-1].parameters[-1].endswith("weight")
    if name in NUM_UNITS:
        assert len(units) == NUM_UNITS[name]


def test_equal_seeds_give_equal_students(name):
    first, second, other = make(name), make(name), make(name, seed=2)
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    last = list(first.parameters())[-1]
    assert not torch.equal(last, list(other.parameters())[-1])


def test_building_leaves_the_global_random_state_alone(name):
    before = torch.get_rng_state()
    make(name)
    assert torch.equal(before, torch.get_rng_state())


def test_depth_0_leaves_a_fresh_student(name):
    donor, fresh = make(name, seed=2).state_dict(), make(name)
    grafted = load_frozen_prefix(make(name), donor, 0)
    for entry, value in fresh.state_dict().items():
        assert torch.equal(value, grafted.state_dict()[entry])
    assert all(parameter.requires_grad for parameter in grafted.parameters())


def test_all_units_are_the_donor_and_nothing_moves(name):
    donor = make(name, seed=2)
    depth = len(units_of(donor))
    grafted = load_frozen_prefix(make(name), donor.state_dict(), depth)
    grafted.train()
    grafted(pictures())
    for entry, value in donor.state_dict().items():
        assert torch.equal(value, grafted.state_dict()[entry]), entry
    assert not any(parameter.requires_grad for parameter in grafted.parameters())


def test_frozen_units_keep_every_bit_and_the_rest_moves(name):
    donor = make(name, seed=2)
    depth = len(units_of(donor)) // 2
    grafted = load_frozen_prefix(make(name), donor.state_dict(), depth)
    kept = {entry: donor.state_dict()[entry].clone() for entry in prefix_names(donor, depth)}
    before = {entry: value.clone() for entry, value in grafted.state_dict().items()}
    step(grafted)
    after = grafted.state_dict()
    for entry, value in kept.items():
        assert torch.equal(value, after[entry]), entry
    moved = [entry for entry in after if not torch.equal(before[entry], after[entry])]
    assert moved
    assert not set(moved) & set(kept)


def test_update_lets_statistics_follow_but_not_weights():
    donor = make("resnet10t", seed=2)
    grafted = load_frozen_prefix(make("resnet10t"), donor.state_dict(), 2, frozen_bn_stats="update")
    step(grafted)
    changed = [
        entry
        for entry in prefix_names(donor, 2)
        if not torch.equal(donor.state_dict()[entry], grafted.state_dict()[entry])
    ]
    assert changed
    assert all("running_" in entry or "num_batches" in entry for entry in changed)


def test_a_frozen_student_is_still_its_timm_class(name):
    model = make(name)
    kind = type(model)
    freeze(model, 1)
    assert isinstance(model, kind)
    assert units_of(model) == units_of(make(name))


def test_cosine_logits_ignore_the_scale_of_weights(name):
    model = make(name).eval()
    images = pictures(2)
    before = model(images)
    head = [module for module in model.modules() if type(module).__name__ == "CosineClassifier"]
    assert len(head) == 1
    head[0].weight.data.mul_(3)
    assert torch.allclose(before, model(images), atol=1e-5)
    assert before.abs().max() <= 10.0001


def test_crops_of_another_size_pass(name):
    model = make(name).eval()
    assert model(pictures(2, size_px=48)).shape == (2, 7)


def gradients(model, logits):
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not moving:
        return []
    loss = functional.cross_entropy(logits, torch.arange(len(logits)) % 7)
    return torch.autograd.grad(loss, moving, allow_unused=True)  # convnext: a bias before a norm


def seeded(run, argument):
    """Of `argument`, with the same stochastic depth every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return run(argument)


def depths_of(model):
    """All, or of many units the first, the middle and the last."""
    count = len(units_of(model))
    if count < 12:
        return range(1, count + 1)
    return [1, 2, 3, count // 2, *range(count - 3, count + 1)]


def test_a_replayed_prefix_changes_no_logit_and_no_gradient(name):
    donor, images = make(name, seed=2), pictures()
    for depth in depths_of(donor):
        model = load_frozen_prefix(make(name), donor.state_dict(), depth).train()
        replay = PrefixCache.of(model, images)
        assert replay is not None, depth
        if name not in LINKED_THROUGHOUT:
            assert {call.name for call in replay.calls} >= set(model.frozen_modules), depth
        activations = replay.remember(images)
        kept = activations.clone()
        wanted, found = seeded(model, images), seeded(replay.forward, activations)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
        pairs = zip(gradients(model, found), gradients(model, wanted), strict=True)
        for one, other in pairs:
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
        assert torch.equal(kept, activations), depth


def test_what_stands_after_a_unit_depends_on_the_units_up_to_it(name):
    donor, images = make(name, seed=2), pictures()
    depth = len(units_of(donor)) // 2
    theirs = unit_activations(donor, images)
    ours = unit_activations(load_frozen_prefix(make(name), donor.state_dict(), depth), images)
    assert len(ours) == len(units_of(donor))
    assert all(len(part) == len(images) for part in ours)
    equal = [torch.equal(one, two) for one, two in zip(ours, theirs, strict=True)]
    assert all(equal[:depth])
    assert not any(equal[-2:])  # those between may begin as the identity, as residual blocks do
    assert torch.equal(theirs[-1], donor.eval()(images))


def test_the_classifier_makes_the_logits_of_the_penultimate_features(name):
    model = make(name).eval()
    features, logits = penultimate_features(model, pictures())
    assert features.shape == (4, feature_size(model))
    assert torch.equal(model.get_submodule(classifier_name(model))(features), logits)


def test_units_share_all_floating_point_operations(name):
    model = make(name).eval()
    counts = unit_flops(model, 32)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(pictures(1))
    assert sum(counts) == counter.get_total_flops() > 0
    assert len(counts) == len(units_of(model))

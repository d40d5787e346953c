import pytest
import torch
from torch.nn import functional

from synthgap.models.build import build_student
from synthgap.models.frozen_prefix import freeze
from synthgap.models.prefix_cache import PrefixCache
from synthgap.params.students import Student

TINY = {"channels": (8, 8, 16, 16), "stem_width": 8}
VIT = {"img_size": 16, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3}


def student(model="resnet10t", **options):
    chosen = options or TINY
    return build_student(
        Student(model, chosen, "imagenet", "random", None, "cosine", 0.1), 3, seed=1
    )


@pytest.fixture
def images():
    return torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def frozen(images):
    model = student()
    freeze(model, 3)
    return model, PrefixCache.of(model, images)


def test_what_is_not_the_same_every_time_is_not_replayed(images):
    assert PrefixCache.of(student(), images) is None
    updating = student()
    freeze(updating, 3, frozen_bn_stats="update")
    assert PrefixCache.of(updating, images) is None


def test_the_cut_lies_before_dropout(images):
    dropping = student("vit_tiny_patch16_224", **VIT, pos_drop_rate=0.5)
    freeze(dropping, 2)
    replay = PrefixCache.of(dropping, images)
    assert [call.name for call in replay.calls] == ["patch_embed"]
    dropping.train()
    activations = replay.remember(images)
    assert not torch.equal(replay.forward(activations), replay.forward(activations))
    dropping.eval()
    torch.testing.assert_close(replay.forward(activations), dropping(images))


def test_the_rest_is_not_run_to_remember(frozen, images):
    model, replay = frozen
    ran = []
    for name in ("layer2", "layer3", "fc"):
        model.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
    activations = replay.remember(images)
    assert ran == ["layer2"]
    ran.clear()
    replay.forward(activations)
    assert ran == ["layer2", "layer3", "fc"]  # hooks fire; the frozen one's forward stood still


def test_frozen_modules_do_not_run_again(frozen, images):
    model, replay = frozen
    activations = replay.remember(images)
    with torch.no_grad():
        model.layer1[0].conv1.weight.fill_(torch.nan)
    assert replay.forward(activations).isfinite().all()


def test_it_follows_the_part_that_learns(frozen, images):
    model, replay = frozen
    model.train()
    activations = replay.remember(images)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    functional.cross_entropy(replay.forward(activations), torch.arange(5) % 3).backward()
    optimizer.step()
    model.eval()
    torch.testing.assert_close(replay.forward(activations), model(images))


def test_the_student_is_itself_again_afterwards(frozen, images):
    model, replay = frozen
    model.eval()
    wanted = model(images)
    activations = replay.remember(images)

    def fail():
        with replay.recalling(activations):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert torch.equal(model(images), wanted)


def test_looking_for_the_cut_moves_nothing(images):
    model = student()
    freeze(model, 2)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    chance = torch.get_rng_state()
    assert PrefixCache.of(model, images) is not None
    assert model.training
    assert torch.equal(chance, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_pass_of_a_wrapper_is_replayed_too(frozen, images):
    model, replay = frozen
    model.eval()

    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, crops):
            return 2 * self.inner(crops)

    with replay.recalling(replay.remember(images)) as placeholder:
        assert placeholder.shape == images.shape
        found = Twice()(placeholder)
    torch.testing.assert_close(found, 2 * model(images))


def test_activations_are_smallest_at_the_cut(images):
    """Pooling that learns nothing belongs to the part that is remembered."""
    model = student()
    freeze(model, 1)
    assert PrefixCache.of(model, images).remember(images).shape == (5, 16, 4, 4)
    probe = student()
    freeze(probe, 5)
    assert PrefixCache.of(probe, images).remember(images).shape == (5, 16)

import pytest
import torch

from synthgap.params.sections import AugMix, PixMix
from synthgap.training.augmentation import augment, augmentation_of, centre_crop

POLICIES = ("dino", "pytorch", "autoaugment", "augmix", "pixmix", "none")
BATCH, SIZE = 24, 20
COLOURED = {
    "flip": 0.5,
    "jitter": 0.8,
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.2,
    "hue": 0.1,
    "grayscale": 0.2,
    "blur": 0.5,
    "solarise": 0.2,
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def some(batch=BATCH, size=SIZE):
    stored = torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8, generator=generator())
    return stored.permute(0, 3, 1, 2)


@pytest.fixture
def settings(training, crops):
    def make(name, **changed):
        return training(
            augmentation=name,
            global_crops=crops(size=16, **COLOURED),
            local_crops=crops(count=3, size=8, scale=(0.2, 0.5), **COLOURED),
            augmix=AugMix(3, 3, -1, 1.0, 12.0),
            pixmix=PixMix("fractals", 5, 3, 4, 3.0),
            **changed,
        )

    return make


@pytest.fixture
def policy(settings):
    def make(name):
        return augmentation_of(settings(name), some(5, 16))

    return make


@pytest.mark.parametrize("name", POLICIES)
def test_samples_come_out_as_they_would_among_all(policy, name):
    """So processes that draw for the whole batch and apply their rows see what one sees."""
    given, images = policy(name), some()
    drawn = given.draw(BATCH, SIZE, SIZE, generator())
    whole = given.apply(images, drawn)
    for rows in (torch.arange(BATCH // 2, BATCH), torch.tensor([17, 2, 5])):
        parts = given.apply(images[rows], drawn.rows(rows))
        for everything, part in zip(whole, parts, strict=True):
            own = everything.view(-1, BATCH, *everything.shape[1:])[:, rows]
            assert torch.equal(own.flatten(0, 1), part)


@pytest.mark.parametrize("name", POLICIES)
def test_what_comes_out_is_float_in_the_unit_interval(policy, name):
    images = some()
    before = images.clone()
    given = policy(name)
    made = given.apply(images, given.draw(BATCH, SIZE, SIZE, generator()))
    assert torch.equal(images, before)
    crops = {"dino": [1, 3], "augmix": [3]}.get(name, [1])
    assert [len(part) for part in made] == [count * BATCH for count in crops]
    for part in made:
        assert part.dtype == torch.float32
        assert part.is_contiguous()
        assert part.min() >= 0
        assert part.max() <= 1
    assert given.num_views == (3 if name == "augmix" else 1)


@pytest.mark.parametrize("name", POLICIES)
def test_chance_is_the_generators_alone(policy, name):
    given, images = policy(name), some()
    first, again, other = (
        given.apply(images, given.draw(BATCH, SIZE, SIZE, generator(seed))) for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    differs = any(not torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert differs != given.deterministic


def test_multi_crop_gives_one_tensor_a_size_and_labels_tile(training, crops):
    images = torch.stack([torch.full((3, 16, 16), 20 * value) for value in range(5)]).byte()
    made = augment(images, training(local_crops=crops(count=3, size=8)), generator())
    assert [tuple(part.shape) for part in made] == [(5, 3, 16, 16), (15, 3, 8, 8)]
    assert torch.allclose(made[1][7], images[2, :, :8, :8] / 255, atol=1e-5)


def test_equal_sizes_share_one_pass(training, crops):
    made = augment(some(5, 16), training(local_crops=crops(count=2, size=16)), generator())
    assert [tuple(part.shape) for part in made] == [(15, 3, 16, 16)]


def test_without_local_crops_there_is_one_tensor(training, crops):
    made = augment(some(5, 16), training(local_crops=crops(count=0)), generator())
    assert [tuple(part.shape) for part in made] == [(5, 3, 16, 16)]


def test_centre_of_the_right_size_is_untouched():
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(centre_crop(images, 16), images)
    assert torch.equal(centre_crop(images, 8), images[:, :, 4:12, 4:12])


def test_the_plain_policy_is_what_scoring_sees(settings):
    images = some()
    made = augment(images, settings("none"), generator())[0]
    assert torch.allclose(made, centre_crop(images, 16) / 255)

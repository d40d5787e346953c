import torch
from torchvision.transforms import AutoAugment as Theirs
from torchvision.transforms import AutoAugmentPolicy

from synthgap.training.autoaugment import POLICY, AutoAugment, amount
from synthgap.training.operations import KIND

NAMES = {"shear_x": "ShearX", "autocontrast": "AutoContrast"}


def theirs(name):
    return NAMES.get(name, name.capitalize())


def test_the_policy_is_the_published_one():
    published = Theirs(AutoAugmentPolicy.IMAGENET).policies
    ours = tuple(
        tuple((theirs(name), probability, number) for name, probability, number in pair)
        for pair in POLICY
    )
    unnumbered = tuple(
        tuple((name, probability, number or 0) for name, probability, number in pair)
        for pair in published
    )
    assert ours == unnumbered


def test_amounts_are_torchvisions():
    space = Theirs()._augmentation_space(10, (32, 32))
    for name in {name for pair in POLICY for name, _, _ in pair}:
        magnitudes, signed = space[theirs(name)]
        if magnitudes.ndim == 0:
            continue
        for number in range(10):
            for sign in (-1, 1):
                wanted = float(magnitudes[number]) * (sign if signed else 1)
                wanted += name in ("color", "contrast", "sharpness")
                assert abs(amount(name, number, sign=sign) - wanted) < 1e-4


def test_pairs_happen_as_often_as_they_should():
    policy = AutoAugment(16)
    drawn = policy.draw(20_000, 16, 16, torch.Generator().manual_seed(0))
    for half in range(2):
        for name in ("equalize", "rotate", "invert", "identity"):
            share = float((drawn.kinds[:, half] == KIND[name]).float().mean())
            wanted = sum(
                (
                    1 - pair[half][1]
                    if name == "identity"
                    else pair[half][1] * (pair[half][0] == name)
                )
                for pair in POLICY
            )
            assert abs(share - wanted / 25) < 0.015, name


def test_the_centre_is_changed_and_the_store_is_not():
    images = torch.randint(0, 256, (64, 3, 20, 20), dtype=torch.uint8)
    before = images.clone()
    policy = AutoAugment(16)
    made = policy.apply(images, policy.draw(64, 20, 20, torch.Generator().manual_seed(0)))[0]
    assert made.shape == (64, 3, 16, 16)
    assert made.min() >= 0
    assert made.max() <= 1
    same = torch.isclose(made, images[:, :, 2:18, 2:18] / 255).flatten(1).all(dim=1)
    assert 0 < int(same.sum()) < 32
    assert torch.equal(images, before)

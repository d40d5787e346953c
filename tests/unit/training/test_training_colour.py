import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from synthgap.training.colour import blur, distort, luma, rotate_hue


@pytest.fixture
def images():
    return torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("turn", [-0.4, 0.1, 0.5])
def test_hue_is_torchvisions(images, turn):
    ours = rotate_hue(images, torch.full((6,), turn))
    assert torch.allclose(ours, reference.adjust_hue(images, turn), atol=1e-4)


def test_luma_is_torchvisions(images):
    assert torch.allclose(luma(images), reference.rgb_to_grayscale(images), atol=1e-3)


def test_blur_is_torchvisions(images):
    ours = blur(images, torch.full((6,), 0.8))
    theirs = reference.gaussian_blur(images, [7, 7], [0.8, 0.8])
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_each_step_does_what_its_name_says(images, crops):
    gray = distort(images, crops(grayscale=1.0), generator())
    assert torch.allclose(gray[:, 0], gray[:, 1])
    solarised = distort(images, crops(solarise=1.0), generator())
    assert torch.equal(solarised, torch.where(images >= 128 / 255, 1 - images, images))
    assert distort(images, crops(), generator()) is images


def test_jitter_stays_in_range_and_differs_by_sample(images, crops):
    strong = crops(jitter=1.0, brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)
    made = distort(images[:1].repeat(6, 1, 1, 1), strong, generator())
    assert made.min() >= 0
    assert made.max() <= 1
    assert not torch.allclose(made[0], made[1])


def test_probabilities_are_kept(crops):
    images = torch.rand(4000, 3, 4, 4, generator=generator())
    changed = (distort(images, crops(solarise=0.2), generator()) != images).flatten(1).any(dim=1)
    assert abs(float(changed.float().mean()) - 0.2) < 0.03

"""Ours against torchvision's own transforms on PIL images, one image at a time."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torchvision import transforms

from synthgap.params.sections import Crops
from synthgap.training.augmentation import MultiCrop

DRAWS = 1500
SIZE, GLOBAL, LOCAL = 32, 24, 12
PILLOW_TRUNCATES = 1 / 255  # about a level over the steps of a jitter, where ours rounds nothing
COLOURS = (0.8, 0.4, 0.4, 0.2, 0.1, 0.2)  # jitter: probability, b, c, s, h; grayscale


def picture():
    low = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(low).resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def theirs(size, scale, solarised):
    jitter, *strengths, gray = COLOURS
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(
                size, scale=scale, interpolation=transforms.InterpolationMode.BICUBIC
            ),
            transforms.RandomHorizontalFlip(0.3),
            transforms.RandomApply([transforms.ColorJitter(*strengths)], jitter),
            transforms.RandomGrayscale(gray),
            transforms.RandomApply(
                [transforms.Lambda(lambda image: ImageOps.solarize(image, 128))], solarised
            ),
            transforms.ToTensor(),
        ]
    )


@pytest.fixture(scope="module")
def both():
    """Crops of one picture: {group: (ours, theirs)}, each (DRAWS, 3, size, size)."""
    groups = {"global": (GLOBAL, (0.25, 1.0), 0.2), "local": (LOCAL, (0.05, 0.25), 0.0)}
    settings = [
        Crops(1, size, scale, 0.3, *COLOURS, 0.0, solarised)
        for size, scale, solarised in groups.values()
    ]
    policy = MultiCrop(*settings)
    images = torch.from_numpy(np.array(picture())).permute(2, 0, 1).expand(DRAWS, -1, -1, -1)
    drawn = policy.draw(DRAWS, SIZE, SIZE, torch.Generator().manual_seed(0))
    ours = policy.apply(images, drawn)
    image = picture()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = [
            torch.stack([transform(image) for _ in range(DRAWS)]) + PILLOW_TRUNCATES
            for transform in (theirs(*given) for given in groups.values())
        ]
    return dict(zip(groups, zip(ours, reference, strict=True), strict=True))


def statistics(crops):
    """What a crop is like, (number, 7): channel means, contrast, colourfulness, slopes."""
    means = crops.mean(dim=(2, 3))
    colourful = crops.std(dim=1).mean(dim=(1, 2))
    across = (crops[..., 1:] - crops[..., :-1]).mean(dim=(1, 2, 3))
    down = (crops[..., 1:, :] - crops[..., :-1, :]).mean(dim=(1, 2, 3))
    contrast = crops.std(dim=(1, 2, 3))
    return torch.cat([means, torch.stack([contrast, colourful, across, down], dim=1)], dim=1)


@pytest.mark.parametrize("group", ["global", "local"])
def test_moments_are_those_of_torchvisions_pipeline(both, group):
    ours, reference = (statistics(crops) for crops in both[group])
    spread = reference.std(dim=0)
    error = spread * (2 / DRAWS) ** 0.5
    assert bool(((ours.mean(dim=0) - reference.mean(dim=0)).abs() < 4 * error).all())
    assert bool(((ours.std(dim=0) / spread - 1).abs() < 0.1).all())


@pytest.mark.parametrize("group", ["global", "local"])
def test_every_statistic_is_distributed_alike(both, group):
    """Kolmogorov and Smirnov: 1.95 sqrt(2 / n) is passed by one in a thousand."""
    ours, reference = (statistics(crops).numpy() for crops in both[group])
    for column in range(ours.shape[1]):
        points = np.sort(np.concatenate([ours[:, column], reference[:, column]]))
        cumulative = [
            np.searchsorted(np.sort(found[:, column]), points, side="right") / DRAWS
            for found in (ours, reference)
        ]
        assert np.abs(cumulative[0] - cumulative[1]).max() < 1.95 * np.sqrt(2 / DRAWS)


@pytest.mark.parametrize("group", ["global", "local"])
def test_mean_images_agree(both, group):
    ours, reference = both[group]
    error = reference.std(dim=0) * (2 / DRAWS) ** 0.5
    assert bool(((ours.mean(dim=0) - reference.mean(dim=0)).abs() < 5 * error).all())

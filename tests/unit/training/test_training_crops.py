import numpy as np
import pytest
import torch
from torchvision.transforms import RandomResizedCrop

from synthgap.training.crops import centre_crop_float, crop, draw_boxes, draw_crops


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("height", "width", "scale"),
    [(32, 48, (0.2, 0.9)), (32, 32, (0.05, 0.25)), (16, 64, (0.8, 1.0)), (64, 20, (0.6, 1.0))],
)
def test_boxes_lie_inside_and_follow_torchvisions_distribution(height, width, scale):
    """Also where ten tries do not fit and both fall back to the centre."""
    boxes = draw_boxes(4000, height, width, scale=scale, generator=generator()).numpy()
    top, left, tall, wide = boxes.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + tall <= height).all()
    assert (left + wide <= width).all()
    image = torch.zeros(3, height, width)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        theirs = np.array(
            [RandomResizedCrop.get_params(image, list(scale), [3 / 4, 4 / 3]) for _ in range(4000)]
        )
    for ours, reference in zip(boxes.T, theirs.T, strict=True):
        spread = max(reference.std(), 1e-9) / np.sqrt(4000)
        assert abs(ours.mean() - reference.mean()) < 6 * spread
        assert abs(ours.std() - reference.std()) < 0.05 * reference.std() + 0.02
        middle = [np.quantile(values, [0.1, 0.5, 0.9]) for values in (ours, reference)]
        assert np.abs(middle[0] - middle[1]).max() <= 2


def test_as_many_are_mirrored_as_wanted(crops):
    for share in (0.0, 0.3, 1.0):
        drawn = draw_crops(crops(flip=share), (500, 4), height=16, width=16, generator=generator())
        assert abs(float(drawn.mirrored.float().mean()) - share) < 0.04


def test_flipping_everything_mirrors(crops):
    images = torch.randint(0, 256, (64, 3, 16, 16), dtype=torch.uint8, generator=generator())
    made = [
        crop(images, draw_crops(given, (64, 1), height=16, width=16, generator=generator()), 16)
        for given in (crops(), crops(flip=1.0))
    ]
    assert torch.allclose(made[0].flip(-1), made[1], atol=1e-6)


def test_samples_of_a_batch_are_cut_differently(crops):
    images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8).expand(8, -1, -1, -1)
    drawn = draw_crops(crops(), (8, 2), height=16, width=16, generator=generator())
    made = crop(images, drawn, 16)
    assert len({tuple(image.flatten().tolist()) for image in made}) == 16


def test_the_middle_is_the_centre_square():
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    assert torch.allclose(centre_crop_float(images, 8), images[:, :, 4:12, 4:12] / 255)
    made = centre_crop_float(images, 16)
    made.zero_()
    assert images.any()

import numpy as np
import torch
from torchvision.transforms import RandomResizedCrop

from synthgap.training.augmentation import augment, centre
from synthgap.training.crops import crop, draw_boxes


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_boxes_lie_inside_and_follow_torchvisions_distribution():
    boxes = draw_boxes(4000, 32, 48, scale=(0.2, 0.9), generator=generator()).numpy()
    top, left, height, width = boxes.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 32).all()
    assert (left + width <= 48).all()
    image = torch.zeros(3, 32, 48)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        theirs = np.array(
            [RandomResizedCrop.get_params(image, [0.2, 0.9], [3 / 4, 4 / 3]) for _ in range(4000)]
        )
    for ours, reference in zip(boxes.T, theirs.T, strict=True):
        spread = reference.std() / np.sqrt(4000)
        assert abs(ours.mean() - reference.mean()) < 6 * spread
        middle = [np.quantile(values, [0.1, 0.5, 0.9]) for values in (ours, reference)]
        assert np.abs(middle[0] - middle[1]).max() <= 2


def test_a_whole_crop_of_the_same_size_is_the_image(crops):
    images = torch.rand(5, 3, 16, 16, generator=generator())
    square = crops(scale=(1.0, 1.0))
    boxes = draw_boxes(200, 16, 16, scale=(1.0, 1.0), generator=generator())
    made = crop(images, square, generator())
    whole = (boxes[:5, 2:] == 16).all(dim=1)
    assert whole.any()
    assert torch.allclose(made[whole], images[whole], atol=1e-5)


def test_flipping_everything_mirrors(crops):
    images = torch.rand(64, 3, 16, 16, generator=generator())
    plain = crop(images, crops(), generator())
    flipped = crop(images, crops(flip=1.0), generator())
    assert torch.allclose(plain.flip(-1), flipped, atol=1e-4)


def test_samples_of_a_batch_are_cut_differently(crops):
    images = torch.rand(1, 3, 16, 16).repeat(8, 1, 1, 1)
    made = crop(images, crops(), generator())
    assert len({tuple(image.flatten().tolist()) for image in made}) == 8


def test_multi_crop_gives_one_tensor_a_size_and_labels_tile(training, crops):
    images = torch.stack([torch.full((3, 16, 16), value / 10) for value in range(5)])
    made = augment(images, training(local_crops=crops(count=3, size=8)), generator())
    assert [tuple(part.shape) for part in made] == [(5, 3, 16, 16), (15, 3, 8, 8)]
    assert torch.allclose(made[1][7], images[2, :, :8, :8], atol=1e-5)


def test_equal_sizes_share_one_pass(training, crops):
    images = torch.rand(5, 3, 16, 16)
    made = augment(images, training(local_crops=crops(count=2, size=16)), generator())
    assert [tuple(part.shape) for part in made] == [(15, 3, 16, 16)]


def test_centre_of_the_right_size_is_untouched():
    images = torch.rand(2, 3, 16, 16)
    assert centre(images, 16) is not None
    assert torch.equal(centre(images, 16), images)
    assert torch.equal(centre(images, 8), images[:, :, 4:12, 4:12])


def test_policy_none_is_deterministic(training):
    images = torch.rand(2, 3, 16, 16)
    settings = training(augmentation="none")
    first, second = augment(images, settings, generator(1)), augment(images, settings, generator(2))
    assert torch.equal(first[0], second[0])

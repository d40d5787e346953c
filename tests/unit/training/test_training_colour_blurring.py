import math

import torch
from torchvision.transforms.v2 import functional as reference

from synthgap.training.colour import blur


def test_blur_is_torchvisions():
    images = torch.rand(5, 3, 16, 14, generator=torch.Generator().manual_seed(0))
    sigmas = torch.tensor([0.1, 0.3, 0.8, 1.4, 2.0])
    made = blur(images.clone(), sigmas)
    for image, own, sigma in zip(images, made, sigmas.tolist(), strict=True):
        size = 2 * math.ceil(3 * sigma) + 1
        theirs = reference.gaussian_blur(image, [size, size], [sigma, sigma])
        assert torch.allclose(own, theirs, atol=1e-5)


def test_no_width_changes_nothing():
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(blur(images.clone(), torch.zeros(2)), images)


def test_a_kernel_wider_than_the_image_is_cut():
    images = torch.rand(2, 3, 4, 4)
    theirs = reference.gaussian_blur(images, [7, 7], [2.0, 2.0])
    assert torch.allclose(blur(images.clone(), torch.full((2,), 2.0)), theirs, atol=1e-5)


def test_each_sample_is_blurred_as_if_alone():
    images = torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    sigmas = torch.linspace(0, 2, 40)
    made = blur(images.clone(), sigmas)
    for row in range(0, 40, 7):
        assert torch.equal(blur(images[row : row + 1].clone(), sigmas[row : row + 1])[0], made[row])

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from synthgap.training import crops
from synthgap.training.crops import crop_and_resize, draw_boxes

NUM, COUNT = 6, 3


def smooth(size, num=NUM, seed=0):
    """Images whose neighbours are alike, as in photographs: uint8, stored NHWC."""
    low = torch.rand(num, 3, 5, 5, generator=torch.Generator().manual_seed(seed)) * 255
    large = functional.interpolate(low, size=(size, size), mode="bicubic").clamp(0, 255)
    return large.byte().permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def drawn(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    boxes = draw_boxes(NUM * COUNT, size, size, scale=(0.05, 1.0), generator=generator)
    return boxes.view(NUM, COUNT, 4), torch.rand(NUM, COUNT, generator=generator) < 0.5


def one_by_one(images, boxes, mirrored, size_px, resize):
    made = torch.empty(COUNT, NUM, 3, size_px, size_px)
    for sample in range(NUM):
        for crop in range(COUNT):
            top, left, height, width = boxes[sample, crop].tolist()
            piece = images[sample, :, top : top + height, left : left + width]
            resized = resize(piece, size_px)
            made[crop, sample] = resized.flip(-1) if mirrored[sample, crop] else resized
    return made.flatten(0, 1)


def by_torch(piece, size_px):
    float_piece = piece[None].float() / 255
    resized = functional.interpolate(
        float_piece, (size_px, size_px), mode="bicubic", antialias=True
    )
    return resized[0].clamp(0, 1)


def by_pillow(piece, size_px):
    image = Image.fromarray(piece.permute(1, 2, 0).numpy())
    resized = image.resize((size_px, size_px), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1) / 255


@pytest.mark.parametrize("size", [8, 16, 48])
def test_crops_are_torchs_antialiased_bicubic_ones(size):
    images = torch.randint(0, 256, (NUM, 3, 32, 32), dtype=torch.uint8)
    boxes, mirrored = drawn(32)
    theirs = one_by_one(images, boxes, mirrored, size, by_torch)
    assert torch.allclose(crop_and_resize(images, boxes, mirrored, size), theirs, atol=2e-5)


@pytest.mark.parametrize("way", ["_by_matrices", "_by_box"])
def test_crops_are_pillows(way):
    images = smooth(40)
    boxes, mirrored = drawn(40)
    made = torch.empty(COUNT, NUM, 3, 20, 20)
    getattr(crops, way)(images, boxes, mirrored, made)
    theirs = one_by_one(images, boxes, mirrored, 20, by_pillow)
    assert ((made.flatten(0, 1) - theirs).abs() * 255).max() < 2.5


def test_matrices_from_the_table_are_those_made_on_the_spot(monkeypatch):
    images = smooth(24)
    boxes, mirrored = drawn(24)
    tabled = crop_and_resize(images, boxes, mirrored, 12)
    monkeypatch.setattr(crops, "TABLE_FLOATS", 0)
    assert torch.allclose(crop_and_resize(images, boxes, mirrored, 12), tabled, atol=1e-6)


def test_large_images_on_a_cpu_go_box_by_box(monkeypatch):
    images = smooth(96)
    boxes, mirrored = drawn(96)
    monkeypatch.setattr(crops, "_by_matrices", None)
    assert crop_and_resize(images, boxes, mirrored, 64).shape == (NUM * COUNT, 3, 64, 64)


def test_how_images_lie_in_memory_does_not_matter():
    images = smooth(24)
    boxes, mirrored = drawn(24)
    assert not images.is_contiguous()
    lying, standing = (
        crop_and_resize(given, boxes, mirrored, 12) for given in (images, images.contiguous())
    )
    assert torch.equal(lying, standing)


def test_images_that_are_not_square():
    images = smooth(24)[:, :, :, 4:20]
    boxes = draw_boxes(
        NUM * COUNT, 24, 16, scale=(0.2, 1.0), generator=torch.Generator().manual_seed(0)
    ).view(NUM, COUNT, 4)
    never = torch.zeros(NUM, COUNT, dtype=torch.bool)
    theirs = one_by_one(images, boxes, never, 12, by_torch)
    assert torch.allclose(crop_and_resize(images, boxes, never, 12), theirs, atol=2e-5)


def test_a_whole_crop_of_the_same_size_is_the_image():
    images = torch.randint(0, 256, (NUM, 3, 16, 16), dtype=torch.uint8)
    boxes = torch.tensor([0, 0, 16, 16]).expand(NUM, 1, 4)
    made = crop_and_resize(images, boxes, torch.zeros(NUM, 1, dtype=torch.bool), 16)
    assert torch.allclose(made, images / 255, atol=1e-6)
    flipped = crop_and_resize(images, boxes, torch.ones(NUM, 1, dtype=torch.bool), 16)
    assert torch.allclose(flipped, images.flip(-1) / 255, atol=1e-6)

"""Random resized crops of a batch at once, with parameters of its own for every sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from synthgap.params.sections import Crops

ASPECT = (3 / 4, 4 / 3)
ATTEMPTS = 10  # as torchvision's RandomResizedCrop, before it falls back to the centre


def crop(images: Tensor, crops: Crops, generator: torch.Generator) -> Tensor:
    """Cut one random crop of every image and resize it (bicubic) to `crops.size`.

    images: (batch, channels, height, width), float32 in [0, 1]; the result is
    (batch, channels, size, size) in [0, 1]. Area share and aspect ratio are drawn as in
    torchvision's RandomResizedCrop; a share `crops.flip` is mirrored.
    """
    batch, _, height, width = images.shape
    boxes = draw_boxes(batch, height, width, scale=crops.scale, generator=generator)
    mirrored = torch.rand(batch, generator=generator) < crops.flip
    theta = _affine(boxes, height, width, mirrored=mirrored).to(images.device)
    grid = functional.affine_grid(
        theta, [batch, images.shape[1], crops.size, crops.size], align_corners=False
    )
    sampled = functional.grid_sample(
        images, grid, mode="bicubic", padding_mode="border", align_corners=False
    )
    return sampled.clamp_(0, 1)


def draw_boxes(
    batch: int, height: int, width: int, *, scale: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Draw (batch, 4) boxes as top, left, height, width in whole pixels (float32)."""
    shape = (batch, ATTEMPTS)
    area = torch.empty(shape).uniform_(*scale, generator=generator) * height * width
    low, high = (math.log(side) for side in ASPECT)
    ratio = torch.empty(shape).uniform_(low, high, generator=generator).exp()
    widths, heights = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
    first = fits.float().argmax(dim=1, keepdim=True)
    side = float(min(height, width))
    found = fits.any(dim=1)
    box_height = torch.where(found, heights.gather(1, first)[:, 0], torch.tensor(side))
    box_width = torch.where(found, widths.gather(1, first)[:, 0], torch.tensor(side))
    top = torch.rand(batch, generator=generator) * (height - box_height + 1)
    left = torch.rand(batch, generator=generator) * (width - box_width + 1)
    centre_top, centre_left = (height - box_height) / 2, (width - box_width) / 2
    return torch.stack(
        [
            torch.where(found, top.floor(), centre_top.floor()),
            torch.where(found, left.floor(), centre_left.floor()),
            box_height,
            box_width,
        ],
        dim=1,
    )


def _affine(boxes: Tensor, height: int, width: int, *, mirrored: Tensor) -> Tensor:
    top, left, box_height, box_width = boxes.unbind(dim=1)
    theta = torch.zeros(len(boxes), 2, 3)
    theta[:, 0, 0] = box_width / width * torch.where(mirrored, -1.0, 1.0)
    theta[:, 0, 2] = (2 * left + box_width) / width - 1
    theta[:, 1, 1] = box_height / height
    theta[:, 1, 2] = (2 * top + box_height) / height - 1
    return theta

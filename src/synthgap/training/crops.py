"""Random resized crops of a batch at once, with parameters of its own for every crop."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from synthgap.params.sections import Crops
from synthgap.training.draws import Draws
from synthgap.training.resizing import cut

ASPECT = (3 / 4, 4 / 3)
ATTEMPTS = 10  # as torchvision's RandomResizedCrop, before it falls back to the centre


@dataclass(frozen=True)
class Boxes(Draws):
    """Where to cut: boxes (batch, count, 4) as top, left, height, width in px; whom to mirror."""

    boxes: Tensor  # int64
    mirrored: Tensor  # bool (batch, count)


def draw_crops(
    crops: Crops,
    shape: tuple[int, int],
    *,
    height: int,
    width: int,
    generator: torch.Generator,
) -> Boxes:
    """Draw for `shape` (batch, count): area and aspect as torchvision, a share `flip` mirrored."""
    batch, count = shape
    boxes = draw_boxes(batch * count, height, width, scale=crops.scale, generator=generator)
    return Boxes(boxes.view(*shape, 4), torch.rand(shape, generator=generator) < crops.flip)


def crop(images: Tensor, boxes: Boxes, size_px: int) -> Tensor:
    """Cut every box of every image and resize it (bicubic, antialiased) to `size_px`.

    images: uint8 (batch, 3, height, width); the result is float32 in [0, 1],
    (count * batch, 3, size_px, size_px), crop by crop.
    """
    return cut(images, boxes.boxes, boxes.mirrored, size_px)


def draw_boxes(
    num_boxes: int,
    height: int,
    width: int,
    *,
    scale: tuple[float, float],
    generator: torch.Generator,
) -> Tensor:
    """Draw (num_boxes, 4) boxes, int64: top, left, height, width, as RandomResizedCrop does."""
    shape = (num_boxes, ATTEMPTS)
    area = torch.empty(shape).uniform_(*scale, generator=generator) * height * width
    low, high = (math.log(side) for side in ASPECT)
    ratio = torch.empty(shape).uniform_(low, high, generator=generator).exp()
    sides = torch.stack([(area / ratio).sqrt().round(), (area * ratio).sqrt().round()], dim=2)
    whole = torch.tensor([height, width])
    fits = ((sides >= 1) & (sides <= whole)).all(dim=2)
    first = fits.byte().argmax(dim=1)
    chosen = sides[torch.arange(num_boxes), first].long()
    found = fits.any(dim=1, keepdim=True)
    chosen = torch.where(found, chosen, torch.tensor(_widest(height, width)))
    spare = whole - chosen
    corner = (torch.rand(num_boxes, 2, generator=generator) * (spare + 1)).long().minimum(spare)
    corner = torch.where(found, corner, spare // 2)
    return torch.cat([corner, chosen], dim=1)


def _widest(height: int, width: int) -> tuple[int, int]:
    """Sides of the largest centred box whose aspect is allowed."""
    low, high = ASPECT
    if width < low * height:
        return round(width / low), width
    if width > high * height:
        return height, round(height * high)
    return height, width


def middle(images: Tensor, size_px: int) -> Tensor:
    """Return the centre square of uint8 images as floats in [0, 1], in memory of its own."""
    top, left = (images.shape[-2] - size_px) // 2, (images.shape[-1] - size_px) // 2
    square = images[..., top : top + size_px, left : left + size_px]
    return square.to(torch.float32, memory_format=torch.contiguous_format).mul_(1 / 255)

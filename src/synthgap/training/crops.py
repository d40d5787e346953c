"""Cut boxes out of images and resize them: bicubic with antialiasing, as Pillow does it.

Three ways to the same answer, each where it was measured to be fastest: products with resampling
matrices from a table (small images), with matrices made on the spot (GPUs), and ATen's integer
kernel box by box (large images on a CPU, where its sparse sums beat dense products).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from synthgap.params.sections import Crops
from synthgap.training.draws import Draws

CHUNK_FLOATS = 2**18  # of crops at a time on a CPU, so that they stay in its second-level cache
GPU_CHUNK_FLOATS = 2**25
MATRIX_FLOPS = 2**21  # a crop; above that ATen's sparse integer kernel is faster on a CPU
TABLE_FLOATS = 2**24


def crop_and_resize(images: Tensor, boxes: Tensor, mirrored: Tensor, size_px: int) -> Tensor:
    """Cut `boxes` (batch, count, 4: top, left, height, width) and resize them to `size_px`.

    images: uint8 (batch, 3, height, width); mirrored: bool (batch, count). The result is float32
    in [0, 1], (count * batch, 3, size_px, size_px): crop c of image i stands at c * batch + i.
    """
    assert images.dtype == torch.uint8, f"images are {images.dtype}, expected uint8"
    batch, count = mirrored.shape
    height, width = images.shape[-2:]
    made = torch.empty(count, batch, 3, size_px, size_px, device=images.device)
    flops = 6 * size_px * width * (height + size_px)
    if images.device.type == "cpu" and flops > MATRIX_FLOPS:
        _by_box(images, boxes, mirrored, made)
    else:
        _by_matrices(images, boxes, mirrored, made)
    return made.flatten(0, 1)


def _by_box(images: Tensor, boxes: Tensor, mirrored: Tensor, made: Tensor) -> None:
    size_px = made.shape[-1]
    for row, (image, own) in enumerate(zip(images, boxes.tolist(), strict=True)):
        for column, (top, left, height, width) in enumerate(own):
            box = image[None, :, top : top + height, left : left + width]
            box = box.contiguous(memory_format=torch.channels_last)
            resized = functional.interpolate(
                box, (size_px, size_px), mode="bicubic", antialias=True
            )
            if mirrored[row, column]:
                resized = resized.flip(-1)
            made[column, row].copy_(resized[0]).mul_(1 / 255)


def _by_matrices(images: Tensor, boxes: Tensor, mirrored: Tensor, made: Tensor) -> None:
    count, batch, _, size_px, _ = made.shape
    height, width = images.shape[-2:]
    budget = CHUNK_FLOATS if images.device.type == "cpu" else GPU_CHUNK_FLOATS
    step = max(1, budget // (3 * size_px * count * width))
    for start in range(0, batch, step):
        rows = slice(start, start + step)
        part = images[rows]
        flat = torch.empty(len(part), height, 3, width, device=images.device)
        flat.copy_(part.permute(0, 2, 1, 3))
        top, left, tall, wide = boxes[rows].flatten(0, 1).unbind(dim=1)
        down = _down(top, tall, (height, size_px), images.device)
        narrow = torch.bmm(down.view(len(part), count * size_px, height), flat.flatten(2))
        across = _across(left, wide, mirrored[rows].flatten(), (width, size_px), images.device)
        square = torch.bmm(narrow.view(len(part) * count, size_px * 3, width), across)
        square = square.view(len(part), count, size_px, 3, size_px).permute(1, 0, 3, 2, 4)
        torch.clamp(square, 0, 1, out=made[:, rows])


def _down(starts: Tensor, lengths: Tensor, sizes: tuple[int, int], device: torch.device) -> Tensor:
    """Matrices (n, size_px, size) from grey levels to [0, 1]."""
    if device.type == "cpu" and _floats(*sizes) <= TABLE_FLOATS:
        first, table, _ = _tables(*sizes)
        return table.index_select(0, first[lengths] + starts)
    starts, lengths = (part.to(device, non_blocking=True) for part in (starts, lengths))
    return resampling_matrices(starts, lengths, *sizes).mul_(1 / 255)


def _across(
    starts: Tensor,
    lengths: Tensor,
    mirrored: Tensor,
    sizes: tuple[int, int],
    device: torch.device,
) -> Tensor:
    """Matrices (n, size, size_px), with their results from right to left where `mirrored`."""
    if device.type == "cpu" and _floats(*sizes) <= TABLE_FLOATS:
        first, _, table = _tables(*sizes)
        half = len(table) // 2
        return table.index_select(0, first[lengths] + starts + mirrored * half)
    starts, lengths, mirrored = (
        part.to(device, non_blocking=True) for part in (starts, lengths, mirrored)
    )
    plain = resampling_matrices(starts, lengths, *sizes)
    return torch.where(mirrored[:, None, None], plain.flip(1), plain).transpose(1, 2)


def _floats(size: int, size_px: int) -> int:
    """Floats of the larger table."""
    return size * (size + 1) * size * size_px


@lru_cache(maxsize=8)
def _tables(size: int, size_px: int) -> tuple[Tensor, Tensor, Tensor]:
    """Matrices of every interval of `size` px: index `first[n] + s` for n px from s on.

    Down as `_down` wants them, and across as `_across` does, mirrored ones in the second half.
    """
    lengths = torch.arange(size + 1)
    first = torch.cat([torch.zeros(2, dtype=torch.int64), (size + 1 - lengths[1:-1]).cumsum(0)])
    all_lengths = torch.repeat_interleave(lengths[1:], size + 1 - lengths[1:])
    starts = torch.arange(len(all_lengths)) - first[all_lengths]
    plain = resampling_matrices(starts, all_lengths, size, size_px)
    across = torch.cat([plain, plain.flip(1)]).transpose(1, 2).contiguous()
    return first, plain / 255, across


def resampling_matrices(starts: Tensor, lengths: Tensor, size: int, size_px: int) -> Tensor:
    """Matrices (n, size_px, size) that resample `lengths` px from `starts` on to `size_px` px.

    The cubic convolution kernel (Keys 1981, a = -0.5), as wide as the step between two results
    where it shrinks, cut off at the ends of the interval and normalised to sum 1.
    """
    device = starts.device
    step = lengths[:, None, None] / size_px
    centres = (torch.arange(size_px, device=device).view(1, -1, 1) + 0.5) * step
    pixels = torch.arange(size, device=device).view(1, 1, -1) - starts[:, None, None]
    distance = (pixels + 0.5 - centres).abs_().div_(step.clamp_min(1))
    outer, inner = (2 - distance).clamp_min_(0), (1 - distance).clamp_min_(0)
    # the kernel's two cubics as one sum: a term up to distance 2, and its correction up to 1
    weights = outer.square().mul_(outer - 1).mul_(0.5).add_(inner.square().mul_(1 - 2 * inner))
    weights *= (pixels >= 0) & (pixels < lengths[:, None, None])
    return weights.div_(weights.sum(dim=2, keepdim=True))


ASPECT = (3 / 4, 4 / 3)
ATTEMPTS = 10  # as torchvision's RandomResizedCrop, before it falls back to the centre


@dataclass(frozen=True)
class CropBoxes(Draws):
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
) -> CropBoxes:
    """Draw for `shape` (batch, count): area and aspect as torchvision, a share `flip` mirrored."""
    batch, count = shape
    boxes = draw_boxes(batch * count, height, width, scale=crops.scale, generator=generator)
    return CropBoxes(boxes.view(*shape, 4), torch.rand(shape, generator=generator) < crops.flip)


def crop(images: Tensor, boxes: CropBoxes, size_px: int) -> Tensor:
    """Cut every box of every image and resize it (bicubic, antialiased) to `size_px`.

    images: uint8 (batch, 3, height, width); the result is float32 in [0, 1],
    (count * batch, 3, size_px, size_px), crop by crop.
    """
    return crop_and_resize(images, boxes.boxes, boxes.mirrored, size_px)


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


def centre_crop_float(images: Tensor, size_px: int) -> Tensor:
    """Return the centre square of uint8 images as floats in [0, 1], in memory of its own.

    `images`: uint8 (batch, 3, height, width).
    """
    top, left = (images.shape[-2] - size_px) // 2, (images.shape[-1] - size_px) // 2
    square = images[..., top : top + size_px, left : left + size_px]
    return square.to(torch.float32, memory_format=torch.contiguous_format).mul_(1 / 255)

"""The operations that AutoAugment, AugMix and PixMix chain, each with an amount a sample.

Images are (n, 3, height, width), float32 in [0, 1]; what an operation does to grey levels of 0 to
255 it does to the nearest ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from synthgap.training.colour import luma
from synthgap.training.draws import Draws, change_rows

NAMES = (
    "identity",
    "shear_x",  # pixels a pixel down, from the top left corner
    "shear_y",  # pixels a pixel right
    "translate_x",  # pixels to the right
    "translate_y",  # pixels down
    "rotate",  # degrees counter-clockwise
    "brightness",  # factor, 1 changes nothing; so for the next three
    "color",
    "contrast",
    "sharpness",
    "posterize",  # bits that stay
    "solarize",  # the first level that is inverted
    "autocontrast",
    "equalize",
    "invert",
)
KIND: Mapping[str, int] = {name: kind for kind, name in enumerate(NAMES)}
GEOMETRIC = range(KIND["shear_x"], KIND["rotate"] + 1)


@dataclass(frozen=True)
class Operations(Draws):
    """Which operation (an index of NAMES), and how much of it: int64 and float32, (batch, ...)."""

    kinds: Tensor
    amounts: Tensor


def apply_operations(
    images: Tensor, kinds: Tensor, amounts: Tensor, *, sampling: str = "bilinear"
) -> Tensor:
    """Change image i in place by operation `kinds[i]` with `amounts[i]`, and return them all.

    What comes in from outside is black; `sampling` is that of moved pixels (bilinear or nearest).

    `images`: (batch, 3, height, width), levels 0 to 255; `kinds`, `amounts`: (batch,).
    """
    moving = (kinds >= GEOMETRIC.start) & (kinds < GEOMETRIC.stop)
    rows = moving.nonzero()[:, 0]
    maps = _inverse_maps(kinds[rows], amounts[rows], images.shape[-2], images.shape[-1])
    change_rows(images, rows, lambda part, which: _moved(part, maps[which], sampling))
    for kind in sorted(set(kinds[~moving].tolist()) - {KIND["identity"]}):
        own = (kinds == kind).nonzero()[:, 0]
        change_rows(images, own, _worked(NAMES[kind], amounts[own]))
    return images


def _worked(name: str, amounts: Tensor) -> Callable[[Tensor, slice], Tensor]:
    work = OPERATION_FUNCTIONS[name]

    def worked(part: Tensor, which: slice) -> Tensor:
        return work(part, amounts[which].to(part.device, non_blocking=True)[:, None, None, None])

    return worked


def _inverse_maps(kinds: Tensor, amounts: Tensor, height: int, width: int) -> Tensor:
    """Where each result pixel comes from: (n, 2, 3) for affine_grid, which has sides of 2."""

    def of(name: str) -> Tensor:
        return amounts * (kinds == KIND[name])

    angle = of("rotate").deg2rad()
    cos, sin = angle.cos(), angle.sin()
    shear_x, shear_y = of("shear_x"), of("shear_y")
    # in pixels from the middle: x' = cos x + down_x y + to_x and y' = down_y x + cos y + to_y
    down_x, down_y = shear_x - sin, shear_y + sin
    to_x = shear_x * height / 2 - of("translate_x")
    to_y = shear_y * width / 2 - of("translate_y")
    first = torch.stack([cos, down_x * height / width, 2 * to_x / width], dim=1)
    second = torch.stack([down_y * width / height, cos, 2 * to_y / height], dim=1)
    return torch.stack([first, second], dim=1)


def _moved(images: Tensor, maps: Tensor, sampling: str) -> Tensor:
    maps = maps.to(images.device, non_blocking=True)
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    return functional.grid_sample(
        images, grid, mode=sampling, padding_mode="zeros", align_corners=False
    )


def _levels(images: Tensor) -> Tensor:
    return (images * 255).round_()


def _blend(images: Tensor, other: Tensor | float, factor: Tensor) -> Tensor:
    return (images * factor + other * (1 - factor)).clamp_(0, 1)


def _brightness(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, 0.0, factor)


def _color(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, luma(images), factor)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, luma(images).mean(dim=(2, 3), keepdim=True), factor)


def _sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Pillow's: away from a 3x3 mean in which the middle counts five times; the rim stays."""
    height, width = images.shape[-2:]
    if min(height, width) < 3:
        return images
    inside = images[..., 1:-1, 1:-1]
    mean = functional.avg_pool2d(images, 3, stride=1).mul_(9).add_(inside, alpha=4).div_(13)
    sharpened = images.clone()
    sharpened[..., 1:-1, 1:-1] = _blend(inside, mean, factor)
    return sharpened


def _posterize(images: Tensor, bits: Tensor) -> Tensor:
    step = torch.exp2(8 - bits)
    return (_levels(images) / step).floor_() * step / 255


def _solarize(images: Tensor, start: Tensor) -> Tensor:
    bright = (_levels(images) >= start).float()
    return images + bright * (1 - 2 * images)


def _autocontrast(images: Tensor, _: Tensor) -> Tensor:
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    flat = (high <= low).float()  # a channel of one level stays
    scale = 1 / (high - low + flat)
    stretched = (images - low) * scale
    return torch.lerp(stretched, images, flat).clamp_(0, 1)


def _equalize(images: Tensor, _: Tensor) -> Tensor:
    """Pillow's: each channel's levels spread by their cumulative counts, the last one left out."""
    levels = _levels(images).long().flatten(0, 1).flatten(1)
    counts = torch.zeros(len(levels), 256, dtype=torch.int64, device=images.device)
    counts.scatter_add_(1, levels, torch.ones_like(levels))
    last = levels.amax(dim=1, keepdim=True)
    step = (levels.shape[1] - counts.gather(1, last)) // 255
    below = counts.cumsum(dim=1) - counts
    table = ((below + step // 2) // step.clamp_min(1)).clamp_(max=255)
    spread = table.gather(1, levels)
    return torch.where(step > 0, spread, levels).view_as(images).to(images.dtype) / 255


def _invert(images: Tensor, _: Tensor) -> Tensor:
    return 1 - images


OPERATION_FUNCTIONS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": _brightness,
    "color": _color,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "invert": _invert,
}


# disjoint from the corruptions of ImageNet-C, as AugMix's authors chose them
AUGMIX_KINDS = torch.tensor(
    [
        KIND[name]
        for name in (
            "autocontrast",
            "equalize",
            "posterize",
            "rotate",
            "solarize",
            "shear_x",
            "shear_y",
            "translate_x",
            "translate_y",
        )
    ]
)
MIN_SEVERITY = 0.1  # of 10
SHEAR, DEGREES, TRANSLATION = 0.3, 30, 1 / 3  # at 10, the last as a share of the side


def draw_operations(
    shape: tuple[int, ...], *, severity: int, size_px: int, generator: torch.Generator
) -> Operations:
    """Draw one operation for every element of `shape`, its level uniform up to `severity`."""
    kinds = AUGMIX_KINDS[torch.randint(len(AUGMIX_KINDS), shape, generator=generator)]
    level = torch.empty(shape).uniform_(MIN_SEVERITY, severity, generator=generator) / 10
    sign = torch.randint(2, shape, generator=generator) * 2 - 1
    amounts = torch.zeros(shape)
    for name, amount in (
        ("posterize", 4 - (level * 4).floor()),
        ("solarize", 256 - (level * 256).floor()),
        ("rotate", sign * (level * DEGREES).floor()),
        ("shear_x", sign * level * SHEAR),
        ("shear_y", sign * level * SHEAR),
        ("translate_x", sign * (level * size_px * TRANSLATION).floor()),
        ("translate_y", sign * (level * size_px * TRANSLATION).floor()),
    ):
        amounts = torch.where(kinds == KIND[name], amount, amounts)
    return Operations(kinds, amounts)

"""Operations of AugMix and PixMix, as strong as a severity of 1 to 10 says."""

from __future__ import annotations

import torch

from synthgap.training.operations import KIND, Operations

# disjoint from the corruptions of ImageNet-C, as AugMix's authors chose them
CHOICE = torch.tensor(
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
LEAST = 0.1  # of 10
SHEAR, DEGREES, TRANSLATION = 0.3, 30, 1 / 3  # at 10, the last as a share of the side


def draw_operations(
    shape: tuple[int, ...], *, severity: int, size_px: int, generator: torch.Generator
) -> Operations:
    """Draw one operation for every element of `shape`, its level uniform up to `severity`."""
    kinds = CHOICE[torch.randint(len(CHOICE), shape, generator=generator)]
    level = torch.empty(shape).uniform_(LEAST, severity, generator=generator) / 10
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

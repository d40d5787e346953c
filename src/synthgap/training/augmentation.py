"""Turn a batch of images into the crops that a student sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from synthgap.params.sections import Crops, Training
from synthgap.training.colour import distort
from synthgap.training.crops import crop

Augment = Callable[[Tensor, Training, torch.Generator], list[Tensor]]


def augment(images: Tensor, training: Training, generator: torch.Generator) -> list[Tensor]:
    """Return crops of (batch, 3, height, width) images in [0, 1], one tensor for each crop size.

    Crops of one size stand in one tensor, crop by crop, so that labels tile over it.
    """
    return POLICIES[training.augmentation](images, training, generator)


def centre(images: Tensor, size_px: int) -> Tensor:
    """Cut the centre square of `size_px`; images of that size come back as they are."""
    top, left = (images.shape[-2] - size_px) // 2, (images.shape[-1] - size_px) // 2
    return images[..., top : top + size_px, left : left + size_px]


def _dino(images: Tensor, training: Training, generator: torch.Generator) -> list[Tensor]:
    groups = (training.global_crops, training.local_crops)
    made = [_group(images, crops, generator) for crops in groups if crops.count]
    if len(made) == 2 and made[0].shape[-1] == made[1].shape[-1]:
        return [torch.cat(made)]
    return made


def _group(images: Tensor, crops: Crops, generator: torch.Generator) -> Tensor:
    tiled = images.repeat(crops.count, 1, 1, 1)
    return distort(crop(tiled, crops, generator), crops, generator)


def _pytorch(images: Tensor, training: Training, generator: torch.Generator) -> list[Tensor]:
    return [crop(images, training.global_crops, generator)]


def _none(images: Tensor, training: Training, generator: torch.Generator) -> list[Tensor]:  # noqa: ARG001 - a policy
    return [centre(images, training.global_crops.size)]


POLICIES: Mapping[str, Augment] = {"dino": _dino, "pytorch": _pytorch, "none": _none}

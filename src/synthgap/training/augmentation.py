"""Policies of random resized crops: trex's multi-crop with colours, and one crop alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from synthgap.params.sections import Crops, PixMix, Training
from synthgap.training.augmix import AugMixPolicy
from synthgap.training.autoaugment import AutoAugment
from synthgap.training.colour import ColourDraws, apply_colours, draw_colours
from synthgap.training.crops import CropBoxes, centre_crop_float, crop, draw_crops
from synthgap.training.draws import Draws
from synthgap.training.mixing_pictures import draw_fractals, read_mixing_pictures
from synthgap.training.pixmix import PixMixPolicy


@dataclass(frozen=True)
class CropDraws(Draws):
    """Where crops of one group are cut, and what happens to their colours."""

    boxes: CropBoxes
    colours: ColourDraws


@dataclass(frozen=True)
class MultiCropDraws(Draws):
    """Draws of the groups of crops."""

    global_crops: CropDraws
    local_crops: CropDraws | None


@dataclass(frozen=True)
class MultiCrop:
    """Global and local crops with jitter, grayscale, blur and solarisation (trex; DINO)."""

    global_crops: Crops
    local_crops: Crops
    num_views: int = 1
    deterministic: bool = False

    def draw(
        self, batch: int, height: int, width: int, generator: torch.Generator
    ) -> MultiCropDraws:
        """Draw every crop's box and colours."""

        def group(crops: Crops) -> CropDraws:
            shape = (batch, crops.count)
            boxes = draw_crops(crops, shape, height=height, width=width, generator=generator)
            reference_px = self.global_crops.size
            return CropDraws(
                boxes,
                draw_colours(crops, shape, reference_px=reference_px, generator=generator),
            )

        many = self.local_crops.count > 0
        return MultiCropDraws(group(self.global_crops), group(self.local_crops) if many else None)

    def apply(self, images: Tensor, draws: MultiCropDraws) -> list[Tensor]:
        """Cut and distort; groups of one size share a tensor.

        `images`: uint8 (batch, 3, height, width); crops are float (batch * count, 3, size,
        size).
        """

        def group(crops: Crops, drawn: CropDraws) -> Tensor:
            cut = crop(images, drawn.boxes, crops.size)
            return apply_colours(cut, drawn.colours)

        made = [group(self.global_crops, draws.global_crops)]
        if draws.local_crops is not None:
            made.append(group(self.local_crops, draws.local_crops))
            if made[0].shape[-1] == made[1].shape[-1]:
                return [torch.cat(made)]
        return made


@dataclass(frozen=True)
class RandomResizedCrop:
    """One random resized crop and a flip, as in the examples of PyTorch; colours stay."""

    crops: Crops
    num_views: int = 1
    deterministic: bool = False

    def draw(self, batch: int, height: int, width: int, generator: torch.Generator) -> CropBoxes:
        """Draw one box an image."""
        return draw_crops(self.crops, (batch, 1), height=height, width=width, generator=generator)

    def apply(self, images: Tensor, draws: CropBoxes) -> list[Tensor]:
        """Cut them.

        `images`: uint8 (batch, 3, height, width); crops are float (batch, 3, size, size).
        """
        return [crop(images, draws, self.crops.size)]


class Augmentation(Protocol):
    """A policy: chance first, on the CPU, for all samples of a batch; then the pixels."""

    @property
    def num_views(self) -> int:
        """How many views of each crop a student compares: 3 with AugMix's consistency loss."""

    @property
    def deterministic(self) -> bool:
        """Whether an image comes out the same every time."""

    def draw(self, batch: int, height: int, width: int, generator: torch.Generator) -> Any:  # noqa: ANN401 - each policy's own Draws
        """Draw what `apply` needs for `batch` images of height x width px.

        `rows` of it are the part of some samples: they come out as they would among all.
        """

    def apply(self, images: Tensor, draws: Any) -> list[Tensor]:  # noqa: ANN401 - each policy's own Draws
        """Make the crops of uint8 (batch, 3, height, width) images, one tensor a size.

        float32 in [0, 1] on the device of the images: crop (or view) c of sample i stands at
        c * batch + i.
        """


def augmentation_of(training: Training, pictures: Tensor | None = None) -> Augmentation:
    """Build the policy of `training`; `pictures`, uint8 (n, 3, side, side), are PixMix's."""
    return POLICIES[training.augmentation](training, pictures)


def augment(
    images: Tensor, training: Training, generator: torch.Generator, pictures: Tensor | None = None
) -> list[Tensor]:
    """Draw and apply in one.

    `images`: uint8 (batch, 3, height, width); views are float (batch * count, 3, size, size).
    """
    policy = augmentation_of(training, pictures)
    batch, _, height, width = images.shape
    return policy.apply(images, policy.draw(batch, height, width, generator))


def load_mixing_pictures(pixmix: PixMix, size_px: int, *, seed: int) -> Tensor:
    """PixMix's pictures, uint8 (num_pictures, 3, size_px, size_px): made here or from a folder.

    Raises:
        DataError: the folder is missing or empty, or a file in it is no image.
    """
    if pixmix.pictures == "fractals":
        return draw_fractals(pixmix.num_pictures, size_px, seed=seed)
    return read_mixing_pictures(pixmix.pictures, pixmix.num_pictures, size_px, seed=seed)


def centre_crop(images: Tensor, size_px: int) -> Tensor:
    """Cut the centre square of `size_px`; images of that size come back as they are.

    `images`: (batch, 3, height, width).
    """
    top, left = (images.shape[-2] - size_px) // 2, (images.shape[-1] - size_px) // 2
    return images[..., top : top + size_px, left : left + size_px]


@dataclass(frozen=True)
class CentreCrop:
    """The centre of an image, and nothing else."""

    size_px: int
    num_views: int = 1
    deterministic: bool = True

    def draw(self, batch: int, height: int, width: int, generator: torch.Generator) -> Draws:  # noqa: ARG002 - a policy
        """Draw nothing."""
        return Draws()

    def apply(self, images: Tensor, draws: Draws) -> list[Tensor]:  # noqa: ARG002 - a policy
        """Cut the centre.

        `images`: uint8 (batch, 3, height, width).
        """
        return [centre_crop_float(images, self.size_px)]


def _pixmix(training: Training, pictures: Tensor | None) -> Augmentation:
    assert pictures is not None, "pixmix needs mixing_pictures()"
    return PixMixPolicy(training.global_crops, training.pixmix, pictures)


POLICIES: Mapping[str, Callable[[Training, Tensor | None], Augmentation]] = {
    "dino": lambda training, _: MultiCrop(training.global_crops, training.local_crops),
    "pytorch": lambda training, _: RandomResizedCrop(training.global_crops),
    "autoaugment": lambda training, _: AutoAugment(training.global_crops.size),
    "augmix": lambda training, _: AugMixPolicy(training.global_crops, training.augmix),
    "pixmix": _pixmix,
    "none": lambda training, _: CentreCrop(training.global_crops.size),
}

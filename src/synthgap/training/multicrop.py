"""Policies of random resized crops: trex's multi-crop with colours, and one crop alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthgap.params.sections import Crops
from synthgap.training.colour import Colours, distort, draw_colours
from synthgap.training.crops import Boxes, crop, draw_crops
from synthgap.training.draws import Draws


@dataclass(frozen=True)
class CropDraws(Draws):
    """Where crops of one group are cut, and what happens to their colours."""

    boxes: Boxes
    colours: Colours


@dataclass(frozen=True)
class MultiDraws(Draws):
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

    def draw(self, batch: int, height: int, width: int, generator: torch.Generator) -> MultiDraws:
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
        return MultiDraws(group(self.global_crops), group(self.local_crops) if many else None)

    def apply(self, images: Tensor, draws: MultiDraws) -> list[Tensor]:
        """Cut and distort; groups of one size share a tensor."""

        def group(crops: Crops, drawn: CropDraws) -> Tensor:
            cut = crop(images, drawn.boxes, crops.size)
            return distort(cut, drawn.colours)

        made = [group(self.global_crops, draws.global_crops)]
        if draws.local_crops is not None:
            made.append(group(self.local_crops, draws.local_crops))
            if made[0].shape[-1] == made[1].shape[-1]:
                return [torch.cat(made)]
        return made


@dataclass(frozen=True)
class OneCrop:
    """One random resized crop and a flip, as in the examples of PyTorch; colours stay."""

    crops: Crops
    num_views: int = 1
    deterministic: bool = False

    def draw(self, batch: int, height: int, width: int, generator: torch.Generator) -> Boxes:
        """Draw one box an image."""
        return draw_crops(self.crops, (batch, 1), height=height, width=width, generator=generator)

    def apply(self, images: Tensor, draws: Boxes) -> list[Tensor]:
        """Cut them."""
        return [crop(images, draws, self.crops.size)]

"""PixMix (Hendrycks et al. 2022): images mixed with structurally complex pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthgap.params.sections import Crops, PixMix
from synthgap.training.crops import CropBoxes, crop, draw_crops
from synthgap.training.draws import Draws
from synthgap.training.operations import KIND, Operations, apply_operations, draw_operations

AUGMENTED = 0.5  # probability that an augmented copy stands in for the image, or for the picture
SMALLEST = 1e-37  # before a power, which may be negative


@dataclass(frozen=True)
class PixMixDraws(Draws):
    """The crop, the start and every round's partner and mix: (batch, ...)."""

    boxes: CropBoxes
    start: Operations  # (batch,)
    rounds: Tensor  # int64 (batch,), how many there are
    partners: Operations  # (batch, rounds), `pictured` ones ignore it
    pictured: Tensor  # bool (batch, rounds): a picture, not an augmented copy
    pictures: Tensor  # int64 (batch, rounds)
    corners: CropBoxes  # (batch, rounds) of the pictures
    multiplied: Tensor  # bool (batch, rounds): multiplied, not added
    weights: Tensor  # (batch, rounds, 2) of the mix so far and of the partner


@dataclass(frozen=True)
class PixMixPolicy:
    """Crop, flip, then up to `pixmix.rounds` mixes with a picture or an augmented copy.

    pictures: uint8 (num_pictures, 3, side, side).
    """

    crops: Crops
    pixmix: PixMix
    pictures: Tensor
    num_views: int = 1
    deterministic: bool = False

    def draw(self, batch: int, height: int, width: int, generator: torch.Generator) -> PixMixDraws:
        """Draw crop, rounds, partners and weights."""
        boxes = draw_crops(self.crops, (batch, 1), height=height, width=width, generator=generator)
        shape = (batch, self.pixmix.rounds)

        def operations(shape: tuple[int, ...]) -> Operations:
            return draw_operations(
                shape,
                severity=self.pixmix.severity,
                size_px=self.crops.size,
                generator=generator,
            )

        def coin(shape: tuple[int, ...]) -> Tensor:
            return torch.rand(shape, generator=generator) < AUGMENTED

        start = operations((batch,))
        kinds = start.kinds.where(coin((batch,)), KIND["identity"])
        return PixMixDraws(
            boxes=boxes,
            start=Operations(kinds, start.amounts),
            rounds=torch.randint(self.pixmix.rounds + 1, (batch,), generator=generator),
            partners=operations(shape),
            pictured=coin(shape),
            pictures=torch.randint(len(self.pictures), shape, generator=generator),
            corners=self._corners(shape, generator),
            multiplied=coin(shape),
            weights=self._weights(shape, generator),
        )

    def _corners(self, shape: tuple[int, int], generator: torch.Generator) -> CropBoxes:
        """Pieces of pictures as large as a crop, or whole pictures where they are smaller."""
        side = self.pictures.shape[-1]
        piece = min(side, self.crops.size)
        start = torch.randint(side - piece + 1, (*shape, 2), generator=generator)
        boxes = torch.cat([start, torch.full((*shape, 2), piece)], dim=2)
        return CropBoxes(boxes, torch.rand(shape, generator=generator) < 0.5)

    def _weights(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Both from Beta distributions: between image and partner, or away from the partner."""
        chance = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        beta = self.pixmix.beta
        high, low = chance.beta(beta, 1, shape), chance.beta(1, beta, shape)
        other, away = chance.beta(1, beta, shape), chance.random(shape) < 0.5
        own, partner = np.where(away, 1 + other, high), np.where(away, -low, low)
        return torch.from_numpy(np.stack([own, partner], axis=2)).float()

    def apply(self, images: Tensor, draws: PixMixDraws) -> list[Tensor]:
        """Cut, then mix round by round; a sample whose rounds are over rests."""
        plain = crop(images, draws.boxes, self.crops.size)
        mixed = apply_operations(plain.clone(), draws.start.kinds, draws.start.amounts)
        for number in range(self.pixmix.rounds):
            rows = (draws.rounds > number).nonzero()[:, 0]
            if len(rows) == 0:
                break
            there = rows.to(images.device, non_blocking=True)
            partner = self._partner(plain[there], draws.rows(rows), number)
            made = _mix(mixed[there], partner, draws.rows(rows), number)
            mixed.index_copy_(0, there, made)
        return [mixed]

    def _partner(self, plain: Tensor, draws: PixMixDraws, number: int) -> Tensor:
        pictured = draws.pictured[:, number]
        kinds = draws.partners.kinds[:, number].where(~pictured, KIND["identity"])
        partner = apply_operations(plain, kinds, draws.partners.amounts[:, number])
        rows = pictured.nonzero()[:, 0]
        chosen = draws.rows(rows)
        corners = CropBoxes(
            chosen.corners.boxes[:, number : number + 1],
            chosen.corners.mirrored[:, number : number + 1],
        )
        pictures = self.pictures[chosen.pictures[:, number]].to(plain.device, non_blocking=True)
        there = rows.to(plain.device, non_blocking=True)
        return partner.index_copy_(0, there, crop(pictures, corners, self.crops.size))


def _mix(mixed: Tensor, partner: Tensor, draws: PixMixDraws, number: int) -> Tensor:
    """Add in [-1, 1], or multiply powers in [0, 2]; then back to [0, 1]."""
    weights = draws.weights[:, number].to(mixed.device, non_blocking=True)
    own, other = weights[:, 0, None, None, None], weights[:, 1, None, None, None]
    multiplied = draws.multiplied[:, number].to(mixed.device)[:, None, None, None]
    added = ((2 * mixed - 1) * own + (2 * partner - 1) * other + 1) / 2
    powers = (2 * mixed).pow(own) * (2 * partner).clamp_min(SMALLEST).pow(other) / 2
    return torch.where(multiplied, powers, added).clamp_(0, 1)

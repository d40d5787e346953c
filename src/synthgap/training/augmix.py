"""AugMix (Hendrycks et al. 2020): chains of operations, mixed with each other and the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthgap.params.sections import AugMix, Crops
from synthgap.training.crops import CropBoxes, crop, draw_crops
from synthgap.training.draws import Draws, crop_major
from synthgap.training.operations import KIND, Operations, apply_operations, draw_operations

DEEPEST = 3  # of chains whose length is random


@dataclass(frozen=True)
class AugMixDraws(Draws):
    """The crop, the chains' operations (batch, views, width, depth) and the weights of the mix."""

    boxes: CropBoxes
    operations: Operations
    chain_weights: Tensor  # (batch, views, width), sum 1
    mixed_share: Tensor  # (batch, views)


@dataclass(frozen=True)
class AugMixPolicy:
    """Crop, flip, then AugMix; with the Jensen-Shannon loss the crop itself and two mixes of it."""

    crops: Crops
    augmix: AugMix
    deterministic: bool = False

    @property
    def num_views(self) -> int:
        """How many views of an image a student sees."""
        return 3 if self.augmix.jsd_weight > 0 else 1

    def draw(self, batch: int, height: int, width: int, generator: torch.Generator) -> AugMixDraws:
        """Draw crop, chains and weights."""
        boxes = draw_crops(self.crops, (batch, 1), height=height, width=width, generator=generator)
        given, mixes = self.augmix, max(1, self.num_views - 1)
        deepest = DEEPEST if given.depth == -1 else given.depth
        shape = (batch, mixes, given.width, deepest)
        operations = draw_operations(
            shape, severity=given.severity, size_px=self.crops.size, generator=generator
        )
        kinds = operations.kinds
        if given.depth == -1:
            depth = torch.randint(1, deepest + 1, shape[:3], generator=generator)
            kinds = kinds.where(torch.arange(deepest) < depth[..., None], KIND["identity"])
        chance = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        weights = chance.dirichlet([given.alpha] * given.width, (batch, mixes))
        share = chance.beta(given.alpha, given.alpha, (batch, mixes))
        return AugMixDraws(
            boxes,
            Operations(kinds, operations.amounts),
            torch.from_numpy(weights).float(),
            torch.from_numpy(share).float(),
        )

    def apply(self, images: Tensor, draws: AugMixDraws) -> list[Tensor]:
        """Cut, run all chains side by side, and mix.

        `images`: uint8 (batch, 3, height, width); views are float (batch, 3, size, size).
        """
        plain = crop(images, draws.boxes, self.crops.size)
        mixes, width = draws.chain_weights.shape[1:]
        kinds = crop_major(draws.operations.kinds.flatten(1, 2))
        amounts = crop_major(draws.operations.amounts.flatten(1, 2))
        chains = plain.repeat(mixes * width, 1, 1, 1)
        for step in range(kinds.shape[1]):
            apply_operations(chains, kinds[:, step], amounts[:, step])
        # the image's own weight, then the chains': one weighted sum
        share = draws.mixed_share[..., None]
        weights = torch.cat([1 - share, share * draws.chain_weights], dim=2)
        weights = weights.permute(1, 2, 0).to(images.device, non_blocking=True)[..., None]
        own, rest = weights[:, 0], weights[:, 1:]
        chains = chains.view(mixes, width, len(plain), -1)
        mixed = plain.flatten(1) * own
        for chain in range(width):
            mixed.addcmul_(chains[:, chain], rest[:, chain])
        mixed = mixed.reshape(-1, *plain.shape[1:])
        return [mixed if self.num_views == 1 else torch.cat([plain, mixed])]

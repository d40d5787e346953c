"""In which order a student sees its images: shuffled, and mixed where there are two kinds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthgap.seeding import stream


@dataclass(frozen=True)
class Mixture:
    """Which images of a mixed source an epoch shows: [0, num_real) are real, the rest synthetic.

    `real_share` of `num_images` are real; with `redraw` every epoch draws anew, else all show the
    same. A kind of which more is wanted than there is repeats itself, evenly. Shares 1 and 0 are
    the pure sets.
    """

    num_real: int
    num_synthetic: int
    real_share: float
    num_images: int
    redraw: bool
    seed: int

    def indices(self, epoch: int) -> np.ndarray:
        """Indices (num_images,) of one epoch, real ones first, each kind rising."""
        draw = stream(self.seed, "mixture", epoch if self.redraw else 0)
        real = round(self.real_share * self.num_images)
        chosen = [
            _spread(self.num_real, real, draw),
            self.num_real + _spread(self.num_synthetic, self.num_images - real, draw),
        ]
        return np.concatenate(chosen)

    @property
    def num_real_seen(self) -> int:
        """How many different real images a training learns from, at most."""
        wanted = round(self.real_share * self.num_images)
        return self.num_real if self.redraw and wanted else min(wanted, self.num_real)


def _spread(available: int, wanted: int, draw: np.random.Generator) -> np.ndarray:
    whole = np.tile(np.arange(available), wanted // available if available else 0)
    rest = draw.permutation(available)[: wanted - len(whole)]
    return np.sort(np.concatenate([whole, rest])).astype(np.int64)


def batches(
    pool: np.ndarray, batch_size: int, *, num_steps: int, seed: int, epoch: int
) -> Iterator[Tensor]:
    """Yield `num_steps` batches (batch_size,) of `pool`'s indices, shuffled by (seed, epoch).

    Incomplete batches are dropped, as trex does; when one pass is not enough, another shuffle
    follows.
    """
    assert 0 < batch_size <= len(pool)
    given = 0
    draw = stream(seed, "order", epoch)
    while given < num_steps:
        order = torch.from_numpy(draw.permutation(pool))
        for start in range(0, len(pool) - batch_size + 1, batch_size):
            if given == num_steps:
                return
            yield order[start : start + batch_size]
            given += 1

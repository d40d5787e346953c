"""Batch samplers: shuffled, mixed by share, or with both kinds in every batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from synthgap.seeding import stream


class BatchSampler(Protocol):
    """Which of a train spec's images each step takes; of two kinds, [0, num_real) are real."""

    @property
    def num_images(self) -> int:
        """Images an epoch: what a pass is, and the largest batch."""

    def batches(
        self, batch_size: int, *, num_steps: int, seed: int, epoch: int
    ) -> Iterator[Tensor]:
        """Yield `num_steps` batches (batch_size,) of indices, a function of (seed, epoch)."""


@dataclass(frozen=True)
class ShuffleBatchSampler:
    """Images [start, stop), shuffled."""

    start: int
    stop: int

    @property
    def num_images(self) -> int:
        """Images an epoch."""
        return self.stop - self.start

    def batches(
        self, batch_size: int, *, num_steps: int, seed: int, epoch: int
    ) -> Iterator[Tensor]:
        """Shuffle anew every epoch.

        Yields indices, int64 (batch_size,).
        """
        pool = np.arange(self.start, self.stop)
        yield from shuffled_batches(pool, batch_size, num_steps=num_steps, seed=seed, epoch=epoch)


@dataclass(frozen=True)
class MixtureBatchSampler:
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
            _repeat_evenly(self.num_real, real, draw),
            self.num_real + _repeat_evenly(self.num_synthetic, self.num_images - real, draw),
        ]
        return np.concatenate(chosen)

    def batches(
        self, batch_size: int, *, num_steps: int, seed: int, epoch: int
    ) -> Iterator[Tensor]:
        """Shuffle the epoch's images.

        Yields indices, int64 (batch_size,).
        """
        pool = self.indices(epoch)
        yield from shuffled_batches(pool, batch_size, num_steps=num_steps, seed=seed, epoch=epoch)

    @property
    def num_real_seen(self) -> int:
        """How many different real images a training learns from, at most."""
        wanted = round(self.real_share * self.num_images)
        return self.num_real if self.redraw and wanted else min(wanted, self.num_real)


@dataclass(frozen=True)
class BalancedBatchSampler:
    """Both kinds in every batch: `real_share` of it real, each kind in a shuffled order of its own.

    At least one of each kind. A kind that an epoch exhausts is shuffled again and goes on.
    """

    num_real: int
    num_synthetic: int
    real_share: float

    @property
    def num_images(self) -> int:
        """Images of both kinds."""
        return self.num_real + self.num_synthetic

    def batches(
        self, batch_size: int, *, num_steps: int, seed: int, epoch: int
    ) -> Iterator[Tensor]:
        """Spread both kinds evenly over every batch, so that every part of it has its share.

        Yields indices, int64 (batch_size,).
        """
        real = min(max(1, round(self.real_share * batch_size)), batch_size - 1)
        kinds = (
            _endless_shuffle(np.arange(self.num_real), real, seed, "real", epoch),
            _endless_shuffle(
                self.num_real + np.arange(self.num_synthetic),
                batch_size - real,
                seed,
                "synthetic",
                epoch,
            ),
        )
        counts = (real, batch_size - real)
        places = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
        spread = np.argsort(places, kind="stable")
        for _ in range(num_steps):
            yield torch.from_numpy(np.concatenate([next(kind) for kind in kinds])[spread])


def _endless_shuffle(
    pool: np.ndarray, wanted: int, seed: int, kind: str, epoch: int
) -> Iterator[np.ndarray]:
    """Yield `wanted` of the pool at a time, none twice before all were there once."""
    draw = stream(seed, "order", kind, epoch)
    left = draw.permutation(pool)
    while True:
        while len(left) < wanted:
            left = np.concatenate([left, draw.permutation(pool)])
        yield left[:wanted]
        left = left[wanted:]


def _repeat_evenly(available: int, wanted: int, draw: np.random.Generator) -> np.ndarray:
    whole = np.tile(np.arange(available), wanted // available if available else 0)
    rest = draw.permutation(available)[: wanted - len(whole)]
    return np.sort(np.concatenate([whole, rest])).astype(np.int64)


def shuffled_batches(
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

"""What a student learns: from which images, how, in which order, and on what it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from synthgap.params.sections import Training
from synthgap.training.labelled import Labelled, Normalisation
from synthgap.training.order import Mixture
from synthgap.training.schedule import Schedule


@dataclass(frozen=True)
class Lesson:
    """One training.

    `scored` maps split names to real sets. `steps_per_epoch` defaults to one pass over the images.
    `embeddings` (num_images, dim) are a teacher's, where `training.supervision` wants them;
    `pictures`, uint8 (num_pictures, 3, size, size), are what PixMix mixes in; `real` holds the
    statistics of the real training set, by which `normalise: fed_set` scores.
    """

    name: str
    images: Labelled
    training: Training
    seed: int
    scored: Mapping[str, Labelled]
    steps_per_epoch: int | None = None
    mixture: Mixture | None = None
    embeddings: Tensor | None = None
    pictures: Tensor | None = None
    real: Normalisation | None = None

    def pool(self, epoch: int) -> np.ndarray:
        """Indices of the images that an epoch shows."""
        if self.mixture is not None:
            return self.mixture.indices(epoch)
        return np.arange(len(self.images))

    @property
    def num_shown(self) -> int:
        """Images an epoch."""
        return self.mixture.num_images if self.mixture else len(self.images)

    @property
    def batch_size(self) -> int:
        """The configured batch, or all images where there are fewer, in whole parts."""
        parts = self.training.accumulate
        return max(parts, min(self.training.batch_size, self.num_shown) // parts * parts)

    @property
    def num_steps(self) -> int:
        """Optimiser steps of one epoch."""
        return self.steps_per_epoch or self.num_shown // self.batch_size

    @cached_property
    def schedule(self) -> Schedule:
        """The learning rate of every step."""
        return Schedule.of(
            self.training, batch_size=self.batch_size, steps_per_epoch=self.num_steps
        )

    @cached_property
    def normalisation(self) -> Normalisation:
        """Statistics by which the training images are normalised."""
        if self.training.normalise == "imagenet":
            return Normalisation.imagenet()
        return Normalisation.measured(self.images)

    @cached_property
    def scoring_normalisation(self) -> Normalisation:
        """Statistics by which the scored images are normalised (protocol.md 4.8)."""
        if self.training.normalise == "fed_set" and self.real is not None:
            return self.real
        return self.normalisation

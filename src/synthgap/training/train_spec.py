"""What one training consists of: images, settings, batch order, what is scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from synthgap.params.sections import Training
from synthgap.training.batch_samplers import BatchSampler, ShuffleBatchSampler
from synthgap.training.labelled_images import LabelledImages, Normalisation
from synthgap.training.optimizer import LearningRateSchedule


@dataclass(frozen=True)
class TrainSpec:
    """One training.

    `scored` maps split names to real sets. `steps_per_epoch` defaults to one pass over the images.
    `embeddings` (num_images, dim) are a teacher's, where `training.supervision` wants them;
    `pictures`, uint8 (num_pictures, 3, size, size), are what PixMix mixes in; `real` holds the
    statistics of the real training set, by which `normalise: fed_set` scores. `order` is which
    images each step shows; by default all of them, shuffled.
    """

    name: str
    images: LabelledImages
    training: Training
    seed: int
    scored: Mapping[str, LabelledImages]
    steps_per_epoch: int | None = None
    order: BatchSampler | None = None
    embeddings: Tensor | None = None
    pictures: Tensor | None = None
    real: Normalisation | None = None

    @property
    def images_per_epoch(self) -> int:
        """Images an epoch."""
        return self.order.num_images if self.order else len(self.images)

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """Indices (batch_size,) of the images of every step of an epoch."""
        order = self.order or ShuffleBatchSampler(0, len(self.images))
        return order.batches(self.batch_size, num_steps=self.num_steps, seed=self.seed, epoch=epoch)

    @property
    def batch_size(self) -> int:
        """The configured batch, or all images where there are fewer, in whole parts."""
        parts = self.training.accumulate
        return max(parts, min(self.training.batch_size, self.images_per_epoch) // parts * parts)

    @property
    def num_steps(self) -> int:
        """Optimiser steps of one epoch."""
        return self.steps_per_epoch or self.images_per_epoch // self.batch_size

    @cached_property
    def schedule(self) -> LearningRateSchedule:
        """The learning rate of every step."""
        return LearningRateSchedule.of(
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

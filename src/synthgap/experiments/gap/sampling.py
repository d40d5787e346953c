"""The sampling experiment: are synthetic images that a real classifier finds hard worth more?

Real images and some synthetic ones: those of least loss, those of most, or as many at random; of
every class the same share. Real images alone are stage `train`'s students of the same seeds, and
every run takes as many optimiser steps as they.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from synthgap.experiments.gap.predictions import PredictedSet
from synthgap.experiments.runs.sources import Source, mixed
from synthgap.experiments.runs.spec import RunSpec, scale_of
from synthgap.experiments.runs.subsets import num_kept, stratified
from synthgap.params.students import Gap
from synthgap.seeding import derived_seed

ABLATION = "sampling"


@dataclass(frozen=True)
class Sampling:
    """How it is drawn: `root` is the root seed, `steps` the optimiser steps an epoch, by seed."""

    gap: Gap
    root: int
    steps: Mapping[int, int]

    def plans(self, real: Source, predicted: PredictedSet) -> list[RunSpec]:
        """A run a variant and seed, on `real` and images of the synthetic set.

        Raises:
            DataError: the two have other classes.
        """
        both, name = mixed(real, predicted.source), predicted.source.name
        return [
            RunSpec(
                name=f"{variant} {both.name} s{seed}",
                seed=seed,
                source=both,
                ablation=ABLATION,
                variant=variant,
                guidance_scale=scale_of(name),
                indices=_mixed_indices(real, predicted.rows[self.kept(variant, predicted, seed)]),
                steps_per_epoch=self.steps[seed],
            )
            for variant in VARIANTS
            for seed in self.gap.seeds
        ]

    def kept(self, variant: str, predicted: PredictedSet, seed: int) -> np.ndarray:
        """Rising places, among the images predicted, of those that one run adds.

        int64 (num_kept,).
        """
        return VARIANTS[variant](self, predicted, seed)


def by_loss(losses: np.ndarray, labels: np.ndarray, share: float, *, highest: bool) -> np.ndarray:
    """Rising indices of `share` of every class, at least one image: those of least or most loss.

    losses: float (num_images,); labels: int64 (num_images,). Of equal losses the first come first.
    """
    ranked = np.argsort(-losses if highest else losses, kind="stable")
    kept = []
    for label in np.unique(labels):
        own = ranked[labels[ranked] == label]
        kept.append(own[: num_kept(len(own), 1 / share)])
    return np.sort(np.concatenate(kept))


def _low(how: Sampling, predicted: PredictedSet, _seed: int) -> np.ndarray:
    losses = predicted.answers[how.gap.sets[0]].losses
    return by_loss(losses, predicted.labels, how.gap.share, highest=False)


def _high(how: Sampling, predicted: PredictedSet, _seed: int) -> np.ndarray:
    losses = predicted.answers[how.gap.sets[0]].losses
    return by_loss(losses, predicted.labels, how.gap.share, highest=True)


def _random(how: Sampling, predicted: PredictedSet, seed: int) -> np.ndarray:
    own = derived_seed(how.root, "run", seed)
    return stratified(predicted.labels, 1 / how.gap.share, seed=own)


def _mixed_indices(real: Source, rows: np.ndarray) -> np.ndarray:
    """Indices into the mixed source: all real images, then the synthetic ones of `rows`."""
    count = len(real.images)
    return np.concatenate([np.arange(count), count + rows])


VARIANTS: Mapping[str, Callable[[Sampling, PredictedSet, int], np.ndarray]] = {
    "low_loss": _low,
    "high_loss": _high,
    "random": _random,
}

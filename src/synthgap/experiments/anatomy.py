"""What one student makes of real images, unit by unit: what is alike, and what can be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from synthgap.evaluation.cka import centred_gram
from synthgap.evaluation.probe import Examples, fit_probe
from synthgap.models.units import units_of
from synthgap.runs.sources import REAL
from synthgap.runs.views import Trained
from synthgap.training.labelled import Labelled

MAX_FEATURES = 16384  # of one unit; larger maps are averaged over neighbouring places, for memory


@dataclass(frozen=True)
class Anatomy:
    """One student, unit by unit."""

    units: list[str]
    grams: list[np.ndarray]  # of the held-out images, centred, (num_images, num_images)
    probed: list[float]  # top-1 in percent on the held-out images


def dissect(trained: Trained, images: Mapping[str, Labelled]) -> Anatomy:
    """Show the student real images.

    `images` holds `train`, by which probes learn, `test`, and perhaps `val`, by which they choose
    their penalty.
    """
    examples = {name: _after_units(trained, labelled) for name, labelled in images.items()}
    by_unit = [
        dict(zip(examples, parts, strict=True)) for parts in zip(*examples.values(), strict=True)
    ]
    return Anatomy(
        units=[unit.name for unit in units_of(trained.model)],
        grams=[centred_gram(parts["test"].features) for parts in by_unit],
        probed=[
            fit_probe(parts[REAL], chosen_by=parts.get("val")).top1(parts["test"])
            for parts in by_unit
        ],
    )


def thinned(activations: Tensor) -> Tensor:
    """One row an image, (batch, num_features): all of it, or means over neighbouring places.

    activations: (batch, features), tokens (batch, places, features), or a square map with features
    second or last.
    """
    if activations[0].numel() <= MAX_FEATURES or activations.ndim == 2:
        return activations.flatten(1)
    if activations.ndim == 3:
        tokens = activations.transpose(1, 2)
        return functional.adaptive_avg_pool1d(
            tokens, max(1, MAX_FEATURES // tokens.shape[1])
        ).flatten(1)
    square = activations.shape[2] == activations.shape[3]
    maps = activations if square else activations.permute(0, 3, 1, 2)
    side = max(1, int((MAX_FEATURES // maps.shape[1]) ** 0.5))
    return functional.adaptive_avg_pool2d(maps, side).flatten(1)


def _after_units(trained: Trained, labelled: Labelled) -> list[Examples]:
    batches = [[thinned(part.float()).cpu() for part in batch] for batch in trained.units(labelled)]
    labels = labelled.labels.numpy()
    return [Examples(torch.cat(parts).numpy(), labels) for parts in zip(*batches, strict=True)]

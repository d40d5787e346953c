"""Look through a trained student: what it makes of images, unit by unit; nothing learns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from synthgap.experiments.runs.spec import Donor, RunSettings
from synthgap.jobs.device import device_of
from synthgap.models.activations import penultimate_features, unit_activations
from synthgap.models.build import build_student
from synthgap.models.checkpoint import load_weights
from synthgap.models.frozen_prefix import copy_prefix
from synthgap.models.units import units_of
from synthgap.params.sections import Student
from synthgap.training.augmentation import centre_crop
from synthgap.training.labelled_images import LabelledImages, Normalisation

BATCH = 128


@dataclass(frozen=True)
class StudentFeatures:
    """A student's features (num_images, dim) before its classifier, and logits, both float32."""

    features: np.ndarray
    logits: np.ndarray


@dataclass(frozen=True)
class TrainedStudent:
    """A student that stage `train` has kept, ready to be shown images as it was scored on them."""

    model: nn.Module
    normalise: Normalisation
    size_px: int

    @classmethod
    def open(cls, stem: Path, student: Student, device: torch.device) -> Self:
        """Read the checkpoint `<stem>.safetensors`.

        Raises:
            CheckpointError: it is missing, damaged, or of another student.
        """
        weights, about = load_weights(stem)
        model = build_student(student.at_random(), about["num_classes"], seed=0)
        copy_prefix(model, weights, len(units_of(model)))
        known = about["normalisation"]
        normalise = Normalisation(tuple(known["mean"]), tuple(known["std"]))
        return cls(model.to(device).eval(), normalise, about["image_size"])

    @torch.no_grad()
    def view(self, images: LabelledImages) -> StudentFeatures:
        """Features and logits of every image."""
        pairs = [penultimate_features(self.model, batch) for batch in self._batches(images)]
        features, logits = (torch.cat(part) for part in zip(*pairs, strict=True))
        return StudentFeatures(features.float().cpu().numpy(), logits.float().cpu().numpy())

    def units(self, images: LabelledImages) -> Iterator[list[Tensor]]:
        """Yield, batch by batch, what stands after every unit, each (batch, ...)."""
        for batch in self._batches(images):
            yield unit_activations(self.model, batch)

    def _batches(self, images: LabelledImages) -> Iterator[Tensor]:
        device = next(self.model.parameters()).device
        for batch in torch.split(images.images, BATCH):
            pixels = centre_crop(batch.to(device), self.size_px).float().div(255)
            yield self.normalise(pixels)


def donor_view(donor: Donor, settings: RunSettings, images: LabelledImages) -> StudentFeatures:
    """What a donor makes of images, labels unseen.

    Raises:
        CheckpointError: it is missing, damaged, or of another student.
    """
    with one_thread():
        trained = TrainedStudent.open(
            Path(donor.stem), settings.student, device_of(settings.runtime)
        )
        return trained.view(images)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread, so that the runs can be forked from this process afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""What the students of every source predict of every source's training images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from synthgap.evaluation.calibration import cross_entropies
from synthgap.evaluation.spectra import Spectrum
from synthgap.experiments.runs.features import TrainedStudent
from synthgap.experiments.runs.sources import Source
from synthgap.experiments.runs.spec import Donor
from synthgap.experiments.runs.subsets import balanced
from synthgap.params.sections import Student
from synthgap.training.labelled_images import LabelledImages

BATCH = 64  # images transformed at once


@dataclass(frozen=True)
class SetPredictions:
    """What one source's students make of one set's images.

    `top1` is in percent, a student each; `losses` (num_images,) float64 are cross-entropies in
    nats, the mean over students; `predictions` (num_images,) int64 is their likeliest class.
    """

    top1: tuple[float, ...]
    losses: np.ndarray
    predictions: np.ndarray


@dataclass(frozen=True)
class PredictedSet:
    """One set, predicted: `rows` (num_images,) are rising indices into it, of the images predicted.

    `answers` are by the set that the students have learned from.
    """

    source: Source
    rows: np.ndarray
    answers: Mapping[str, SetPredictions]
    spectrum: Spectrum

    @property
    def labels(self) -> np.ndarray:
        """Of the images predicted, int64 (num_images,)."""
        labels: np.ndarray = self.source.images.labels[self.rows]
        return labels


@dataclass(frozen=True)
class SourceStudents:
    """The students of every source, by the set that they have learned from, a seed each."""

    students: Mapping[str, Sequence[TrainedStudent]]

    @classmethod
    def open(
        cls, donors: Mapping[str, Sequence[Donor]], student: Student, device: torch.device
    ) -> SourceStudents:
        """Open what stage `train` has kept.

        Raises:
            CheckpointError: one is damaged, or of another student.
        """
        return cls(
            {
                name: [TrainedStudent.open(Path(donor.stem), student, device) for donor in group]
                for name, group in donors.items()
            }
        )

    def predict(self, source: Source, *, max_images: int, seed: int) -> PredictedSet:
        """Predict one set; of a large one, as many images of each class as fit."""
        rows = np.arange(len(source.images))
        images = source.labelled
        if len(rows) > max_images:
            rows = balanced(source.images.labels, max_images, seed=seed)
            images = images.subset(rows)
        answers = {name: _asked(group, images) for name, group in self.students.items()}
        return PredictedSet(source, rows, answers, Spectrum.of(_pixels(images)))


def _asked(students: Sequence[TrainedStudent], images: LabelledImages) -> SetPredictions:
    labels = images.labels.numpy()
    top1, losses, chances = [], [], []
    for student in students:
        logits = student.view(images).logits
        top1.append(float((logits.argmax(axis=1) == labels).mean() * 100))
        losses.append(cross_entropies(logits, labels))
        chances.append(_softmax(logits))
    return SetPredictions(
        tuple(top1), np.mean(losses, axis=0), np.mean(chances, axis=0).argmax(axis=1)
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _pixels(images: LabelledImages) -> Iterator[np.ndarray]:
    for batch in torch.split(images.images, BATCH):
        yield batch.permute(0, 2, 3, 1).numpy()

"""A classifier of real images that labels, filters and judges synthetic ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from synthgap.data.image_set import square
from synthgap.models.activations import feature_size, penultimate_features
from synthgap.models.batching import BATCH, in_full_batches
from synthgap.models.build import build_student
from synthgap.models.checkpoint import load_strict, load_weights, save_state, with_tuples
from synthgap.models.judge_record import STEM, JudgeRecord
from synthgap.models.memory_layout import optimise_layout
from synthgap.params.students import Student


@dataclass(frozen=True)
class JudgePreprocessing:
    """What a judge sees of an image: its square of `stored_px`, of that the centre of `size_px`.

    `mean` and `std` a channel, in [0, 1] units, normalise it: as students are scored.
    """

    stored_px: int
    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, pixels: np.ndarray) -> Tensor:
        """Turn uint8 (n, height, width, 3) into normalised float32 (n, 3, size_px, size_px)."""
        if pixels.shape[1:3] != (self.stored_px, self.stored_px):
            images = [square(Image.fromarray(one), self.stored_px) for one in pixels]
            pixels = np.stack([np.asarray(image) for image in images])
        inside = slice(edge := (self.stored_px - self.size_px) // 2, edge + self.size_px)
        levels = (
            torch.from_numpy(pixels[:, inside, inside].copy()).permute(0, 3, 1, 2).float() / 255
        )
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (levels - mean) / std


@dataclass(frozen=True)
class JudgeCapabilities:
    """What is known of a judge besides its weights."""

    network: Student
    preprocessing: JudgePreprocessing
    classes: tuple[str, ...]
    real_labels: int | None  # it has learned from; None where nobody knows


@dataclass(frozen=True)
class JudgeOutput:
    """What a judge makes of images: features before its classifier (n, d), probabilities (n, k)."""

    features: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class JudgeNetwork:
    """An opened judge; what it says of an image depends on that image alone.

    Equal digests mean equal judges; of `real_labels`, see `JudgeCapabilities`.
    """

    network: nn.Module
    preprocessing: JudgePreprocessing
    classes: tuple[str, ...]
    digest: str
    real_labels: int | None
    batch: int = BATCH

    @classmethod
    def open(cls, folder: Path, device: str | torch.device = "cpu", *, batch: int = BATCH) -> Self:
        """Open what stage `judge` wrote; every pass is of `batch` images, padded where fewer come.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        record = JudgeRecord.read(folder)
        state, about = load_weights(folder / STEM)
        options = with_tuples(about["network"]["options"])
        student = Student(**{**about["network"], "options": options})
        network = build_student(student, len(record.classes), seed=0, place=str(folder))
        load_strict(network, state, place=str(folder / STEM))
        optimise_layout(network)
        known = about["eye"]
        preprocessing = JudgePreprocessing(
            known["stored_px"], known["size_px"], tuple(known["mean"]), tuple(known["std"])
        )
        return cls(
            network=network.eval().requires_grad_(requires_grad=False).to(device),
            preprocessing=preprocessing,
            classes=record.classes,
            digest=record.digest,
            real_labels=record.real_labels,
            batch=batch,
        )

    @property
    def num_features(self) -> int:
        """Length of a feature vector."""
        return feature_size(self.network)

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Softmax over the classes, float32 (n, num_classes), of uint8 (n, height, width, 3)."""
        return self.view(pixels).probabilities

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """What the classifier receives, float32 (n, num_features)."""
        return self.view(pixels).features

    def view(self, pixels: np.ndarray) -> JudgeOutput:
        """Both at once, in one pass.

        `pixels`: uint8 (num_images, size, size, 3).
        """
        if not len(pixels):
            none = np.empty((0, self.num_features), np.float32)
            return JudgeOutput(none, np.empty((0, len(self.classes)), np.float32))
        return JudgeOutput(*in_full_batches(self._answers, pixels, self.batch))

    def _answers(self, pixels: np.ndarray) -> tuple[Tensor, Tensor]:
        device = next(self.network.parameters()).device
        features, logits = penultimate_features(self.network, self.preprocessing(pixels).to(device))
        return features.flatten(1), logits.float().softmax(dim=1)


def save_judge(folder: Path, state: Mapping[str, Tensor], capabilities: JudgeCapabilities) -> None:
    """Write `judge.safetensors`, then `judge.json`."""
    about = {
        "network": asdict(capabilities.network.at_random()),
        "eye": asdict(capabilities.preprocessing),
        "classes": capabilities.classes,
        "real_labels": capabilities.real_labels,
    }
    save_state(folder / STEM, state, about)


def normalisation_of(network: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std by which timm says that the network's inputs are normalised, (3,) each."""
    known: Any = network.pretrained_cfg
    return tuple(known["mean"]), tuple(known["std"])

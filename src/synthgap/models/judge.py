"""A classifier of real images that labels, filters and judges synthetic ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from synthgap.data.image_set import square
from synthgap.errors import CheckpointError
from synthgap.models.activations import feature_size, penultimate_features
from synthgap.models.build import build_student
from synthgap.models.checkpoint import load_weights, save_state
from synthgap.models.judge_record import STEM, JudgeRecord
from synthgap.models.memory_layout import optimise_layout
from synthgap.params.students import Student

BATCH = 64  # images a forward pass, always: another batch size rounds differently in the last bit


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
        seen = torch.from_numpy(pixels[:, inside, inside].copy()).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (seen - mean) / std


@dataclass(frozen=True)
class JudgeCapabilities:
    """What is known of a judge besides its weights."""

    network: Student
    eye: JudgePreprocessing
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
    eye: JudgePreprocessing
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
        student = Student(**_with_tuples(about["network"]))
        network = build_student(student, len(record.classes), seed=0, place=str(folder))
        load_strict(network, state, place=str(folder / STEM))
        optimise_layout(network)
        eye = about["eye"]
        return cls(
            network=network.eval().requires_grad_(requires_grad=False).to(device),
            eye=JudgePreprocessing(
                eye["stored_px"], eye["size_px"], tuple(eye["mean"]), tuple(eye["std"])
            ),
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
        parts = [self._view(part) for part in self._batches(pixels)]
        if not parts:
            none = np.empty((0, self.num_features), np.float32)
            return JudgeOutput(none, np.empty((0, len(self.classes)), np.float32))
        return JudgeOutput(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
        )

    def _batches(self, pixels: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(pixels), self.batch):
            yield pixels[start : start + self.batch]

    @torch.no_grad()
    def _view(self, pixels: np.ndarray) -> JudgeOutput:
        seen = self.eye(pixels)
        padding = seen[-1:].expand(self.batch - len(seen), -1, -1, -1)
        full = torch.cat([seen, padding]).to(next(self.network.parameters()).device)
        features, logits = penultimate_features(self.network, full)
        chances = logits.float().softmax(dim=1)
        kept = (part[: len(seen)].flatten(1).float().cpu().numpy() for part in (features, chances))
        return JudgeOutput(*kept)


def save_judge(folder: Path, state: Mapping[str, Tensor], nature: JudgeCapabilities) -> None:
    """Write `judge.safetensors`, then `judge.json`."""
    about = asdict(replace(nature, network=nature.network.at_random()))
    save_state(folder / STEM, state, about)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read a .safetensors file made elsewhere.

    Raises:
        CheckpointError: it is none.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: not safetensors ({error}), expected a network's weights; fetch it again"
        ) from error


def normalisation_of(network: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std by which timm says that the network's inputs are normalised, (3,) each."""
    known: Any = network.pretrained_cfg
    return tuple(known["mean"]), tuple(known["std"])


def load_strict(network: nn.Module, state: Mapping[str, Tensor], *, place: str) -> None:
    """Copy a whole state into the network.

    Raises:
        CheckpointError: entries are missing, foreign or of another shape; nothing is copied.
    """
    own = network.state_dict()
    wrong = [name for name, value in own.items() if _shape(state, name) != value.shape]
    wrong += [name for name in state if name not in own]
    if wrong:
        name = wrong[0]
        needs = tuple(own[name].shape) if name in own else "no such entry"
        has = "nothing" if name not in state else tuple(state[name].shape)
        raise CheckpointError(
            f"{place}: {len(wrong)} entries do not fit, e.g. {name}: {has}, expected {needs}; give "
            "the weights of that network"
        )
    network.load_state_dict(dict(state))


def _shape(state: Mapping[str, Tensor], name: str) -> torch.Size | None:
    return state[name].shape if name in state else None


def _with_tuples(network: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that options were."""
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in network["options"].items()
    }
    return {**network, "options": options}

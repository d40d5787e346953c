"""A timm network that turns images into features, as metrics of fidelity want one."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from synthgap.data.image_set import square
from synthgap.errors import ParamsError
from synthgap.jobs import file_digest
from synthgap.models.activations import penultimate_features
from synthgap.models.batching import in_full_batches
from synthgap.models.build import build_student
from synthgap.models.initial_weights import initial_weights_file
from synthgap.params.sections import NetworkPin, Student

PLACE = "params.yaml, fidelity.feature_network"


@dataclass(frozen=True)
class FeatureNetwork:
    """An opened network with its own input size (px) and normalisation."""

    network: nn.Module
    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str  # of its name, its weights and how it sees

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """What its classifier receives, float32 (n, dim), of uint8 (n, height, width, 3), n > 0.

        Images are resized to its input size: shorter side, bicubic, then the centre.
        """
        return in_full_batches(self._answers, pixels)[0]

    def _answers(self, pixels: np.ndarray) -> tuple[Tensor]:
        squares = [np.asarray(square(Image.fromarray(one), self.size_px)) for one in pixels]
        images = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float().div(255)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        device = next(self.network.parameters()).device
        features, _ = penultimate_features(self.network, ((images - mean) / std).to(device))
        return (features.flatten(1),)


def open_network(pin: NetworkPin, device: torch.device, *, root: Path) -> FeatureNetwork:
    """Open timm's network `pin.model` with weights from the hub, or from a file below `root`.

    Raises:
        ParamsError: timm knows no such model, or there are no such weights.
        CheckpointError: the weights are not of this network.
    """
    from_hub = pin.weights == "hub"
    student = Student(
        pin.model,
        {},
        "imagenet",
        "pretrained" if from_hub else "file",
        None if from_hub else str(root / pin.weights),
        "linear",
        1.0,
    )
    try:
        path = initial_weights_file(student)
        network = build_student(student, 1, seed=0, place=PLACE)
    except ParamsError as error:
        raise ParamsError(str(error).replace("params.yaml, student", PLACE)) from error
    assert path is not None
    about = network.pretrained_cfg
    mean, std = tuple(about["mean"]), tuple(about["std"])  # type: ignore[index] # timm's own
    size_px = int(about["input_size"][-1])  # type: ignore[index]
    identity = f"{pin.model}\0{file_digest(path)}\0{size_px}\0{mean}\0{std}"
    network = network.eval().requires_grad_(requires_grad=False).to(device)
    return FeatureNetwork(network, size_px, mean, std, sha256(identity.encode()).hexdigest())

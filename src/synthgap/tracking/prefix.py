"""A prefix as files: `prefix.safetensors`, and `prefix.json` with its sha256 and what made it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgap.errors import CheckpointError
from synthgap.jobs import content_digest, file_digest, read_json

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from synthgap.params.sections import Student

PREFIX_STEM = "prefix"
WEIGHTS, DESCRIPTION = f"{PREFIX_STEM}.safetensors", f"{PREFIX_STEM}.json"
REQUIRED_KEYS = (
    "recipe",
    "student",
    "source",
    "depth",
    "num_classes",
    "normalisation",
    "image_size",
)


@dataclass(frozen=True)
class PrefixFolder:
    """A checked prefix folder."""

    folder: Path
    about: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Covers the weights (by their sha256) and their metadata."""
        return content_digest(self.about)

    @property
    def model_name(self) -> str:
        """Its name in the registry: `<recipe>-<student>-<source>`."""
        return registered_name(
            self.about["recipe"], self.about["student"]["model"], self.about["source"]
        )

    @property
    def depth(self) -> int:
        """How many units it holds."""
        return int(self.about["depth"])


def registered_name(recipe: str, student: str, source: str) -> str:
    """`<recipe>-<student>-<source>`; a registry's names have neither `/` nor `:`."""
    return re.sub(r"[^\w.-]", "_", f"{recipe}-{student}-{source}")


def read_prefix(folder: Path) -> PrefixFolder:
    """Check a prefix folder without reading its tensors.

    Raises:
        CheckpointError: it holds anything but the two files, or they are not of one piece.
    """
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if names != sorted((WEIGHTS, DESCRIPTION)):
        raise CheckpointError(
            f"{folder}: holds {names or 'nothing'}, expected exactly {DESCRIPTION} and {WEIGHTS}; "
            "pull it again"
        )
    about = _read_description(folder / DESCRIPTION)
    found = file_digest(folder / WEIGHTS)
    if found != about["weights_sha256"]:
        raise CheckpointError(
            f"{folder / WEIGHTS}: sha256 {found[:12]}, expected {about['weights_sha256'][:12]} "
            f"({DESCRIPTION}); it was changed after it was written, pull it again"
        )
    _check_format(folder / WEIGHTS)
    return PrefixFolder(folder, about)


def build_from_prefix(prefix: PrefixFolder, num_classes: int | None, *, seed: int) -> nn.Module:
    """Build the student and graft the prefix into it.

    Raises:
        CheckpointError: the tensors are not those of the student's first units.
    """
    from synthgap.models.build import build_student
    from synthgap.models.checkpoint import load_weights
    from synthgap.models.frozen_prefix import load_frozen_prefix, prefix_names

    state, about = load_weights(prefix.folder / PREFIX_STEM)
    classes = prefix.about["num_classes"] if num_classes is None else num_classes
    model = build_student(student_section(about), classes, seed=seed)
    expected, found = set(prefix_names(model, prefix.depth)), set(state)
    if expected != found:
        raise CheckpointError(
            f"{prefix.folder / WEIGHTS}: entries {sorted(expected ^ found)[:3]} differ from units "
            f"[0, {prefix.depth}) of {about['student']['model']}; was it made with another timm?"
        )
    return load_frozen_prefix(model, state, prefix.depth)


def student_section(about: Mapping[str, Any]) -> Student:
    """The student section that prefix.json carries; JSON's lists are tuples again.

    What the prefix brings needs no other weights to start from, and the rest is fresh.
    """
    from synthgap.params.sections import Student

    section = {**about["student"], "init": "random", "weights": None}
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in section.pop("options").items()
    }
    return Student(options=options, **section)


def unit_input(model: nn.Module, depth: int, images: Tensor) -> Tensor:
    """What unit `depth` receives when `model` sees normalised `images`, flattened to (batch, n).

    The units before it are run as the model runs them, pooling between units included.
    """
    from synthgap.models.units import units_of

    first = units_of(model)[depth].parameters[0].rpartition(".")[0]
    inputs: list[Tensor] = []

    def keep(_module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        inputs.append(arguments[0])

    handle = model.get_submodule(first).register_forward_pre_hook(keep)
    try:
        model(images)
    finally:
        handle.remove()
    return inputs[0].flatten(1)


def feature_function(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Map float32 images (batch, 3, height, width) in [0, 1] to features (batch, n)."""
    import torch

    prefix = read_prefix(folder)
    model = build_from_prefix(prefix, None, seed=0).eval()
    mean, std = (
        torch.tensor(prefix.about["normalisation"][name], dtype=torch.float32).reshape(1, -1, 1, 1)
        for name in ("mean", "std")
    )

    def features(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            normalised = (torch.as_tensor(images, dtype=torch.float32) - mean) / std
            return unit_input(model, prefix.depth, normalised).numpy()

    return features


def _read_description(path: Path) -> dict[str, Any]:
    try:
        about = read_json(path)
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error}); pull it again") from error
    missing = [name for name in (*REQUIRED_KEYS, "weights_sha256") if name not in about]
    if missing:
        raise CheckpointError(f"{path}: lacks {missing}; expected a prefix's description")
    return dict(about)


def _check_format(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as tensors:
            names = list(tensors.keys())
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not safetensors ({error}); pull it again") from error
    if not names:
        raise CheckpointError(f"{path}: holds no tensor; rerun register")

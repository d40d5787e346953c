"""A frozen network that guides a method, and its outputs for the images of a train spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.errors import ParamsError
from synthgap.guidance.domains import DomainRows
from synthgap.guidance.forward import TappedStudent
from synthgap.models.checkpoint import SUFFIX
from synthgap.models.head import classifier_names
from synthgap.models.memory_layout import optimise_layout
from synthgap.models.reference import STEM, Preprocessing, ReferenceRecord, open_reference
from synthgap.params.students import Student
from synthgap.training.augmentation import augmentation_of
from synthgap.training.crops import centre_crop_float
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.train_spec import TrainSpec

BATCH = 256  # images a forward pass where a whole set is computed
ReferenceFunction = Callable[[DomainRows], Tensor]


@dataclass(frozen=True)
class ReferenceNetwork:
    """An opened reference: in eval mode, frozen, on one device.

    It takes float images (rows, 3, height, width) in [0, 1] of any size, which it resizes
    (bicubic, antialiased) and normalises as it was made for. Nothing has a graph.
    """

    network: nn.Module
    preprocessing: Preprocessing
    digest: str
    about: Mapping[str, Any]  # weights.json
    num_outputs: int  # 0 where the network has no classifier

    @classmethod
    def open(cls, folder: Path, device: str | torch.device = "cpu") -> Self:
        """Open what stage `references` wrote.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        kept, network = open_reference(folder)
        optimise_layout(network)
        about, outputs = kept.about, kept.network.outputs
        return cls(network.to(device), kept.preprocessing, kept.digest, about, outputs)

    @property
    def title(self) -> str:
        """As tables name it, e.g. `resnet10t, contrastive on 600 images of corpus, no labels`."""
        return str(self.about["title"])

    def features(self, images: Tensor, units: int | None = None) -> Tensor:
        """Pooled features (rows, dim) after `units` units; None: what the classifier receives.

        Raises:
            ParamsError: the network has no such unit.
        """
        with torch.no_grad():
            return TappedStudent(self.network, "all_crops", units)(
                [self.preprocessed(images)]
            ).features

    def outputs(self, images: Tensor) -> Tensor:
        """What the network itself answers, (rows, num_outputs).

        Logits of its own classes, or the projection of a contrastive pretext.
        """
        with torch.no_grad():
            found: Tensor = self.network(self.preprocessed(images))
        return found.float()

    def preprocessed(self, images: Tensor) -> Tensor:
        """Images as the network is fed them: resized and normalised, (rows, 3, size, size)."""
        size = self.preprocessing.size_px
        if images.shape[-2:] != (size, size):
            resized = functional.interpolate(images, (size, size), mode="bicubic", antialias=True)
            images = resized.clamp(0, 1)
        return self.normalised(images)

    def normalised(self, images: Tensor) -> Tensor:
        """Images of any size by the network's own mean and std."""
        mean, std = (
            torch.tensor(values, device=images.device, dtype=images.dtype).view(1, 3, 1, 1)
            for values in (self.preprocessing.mean, self.preprocessing.std)
        )
        return (images - mean) / std

    def has_architecture_of(self, student: nn.Module) -> bool:
        """Whether both networks are one but for their weights and classifiers."""
        return _entries(self.network) == _entries(student)


def feature_function(
    reference: ReferenceNetwork,
    train_spec: TrainSpec,
    device: torch.device,
    units: int | None = None,
) -> ReferenceFunction:
    """A function from a `DomainRows` of the train spec to features (rows of crops[0], dim).

    Where the augmentation is deterministic, all images' features are computed once, here.

    Raises:
        ParamsError: the reference has no such unit.
    """
    tapped = TappedStudent(reference.network, "all_crops", units)

    def features_of(images: Tensor) -> Tensor:
        with torch.no_grad():
            return tapped([reference.preprocessed(images)]).features

    return cached_features(features_of, train_spec, device)


def output_function(
    reference: ReferenceNetwork, train_spec: TrainSpec, device: torch.device
) -> ReferenceFunction:
    """The reference's own outputs (rows of crops[0], num_outputs), cached as its features are."""
    return cached_features(reference.outputs, train_spec, device)


def cached_features(
    compute: Callable[[Tensor], Tensor], train_spec: TrainSpec, device: torch.device
) -> ReferenceFunction:
    """`compute` at images in [0, 1], once an image where the augmentation is deterministic.

    `compute` turns images (batch, 3, height, width) into features (batch, dim).
    """
    if augmentation_of(train_spec.training, train_spec.pictures).deterministic:
        table = _outputs_of_all(
            compute, train_spec.images, train_spec.training.global_crops.size, device
        )
        return lambda half: table[half.indices.to(table.device)]
    return lambda half: compute(denormalised(half.crops[0], train_spec))


def denormalised(crops: Tensor, train_spec: TrainSpec) -> Tensor:
    """Normalised crops of a train spec as images in [0, 1] again, (rows, 3, height, width)."""
    normalisation = train_spec.normalisation
    mean, std = (
        torch.tensor(values, device=crops.device).view(1, 3, 1, 1)
        for values in (normalisation.mean, normalisation.std)
    )
    return crops.float() * std + mean


def student_from(student: Student, folder: Path) -> Student:
    """The student that starts from a kept reference's weights, its classifier fresh.

    Raises:
        CheckpointError: there is no reference.
        ParamsError: the reference is another network.
    """
    network = ReferenceRecord.read(folder).network
    own = (student.model.partition(".")[0], dict(student.options), student.stem)
    if own != (network.model.partition(".")[0], dict(network.options), network.stem):
        raise ParamsError(
            f"{folder}: {network.model} {dict(network.options)} ({network.stem} stem), expected "
            f"the student's own {student.model} {dict(student.options)} ({student.stem} stem) to "
            "start from; name a reference with model: null"
        )
    weights = str(folder / f"{STEM}{SUFFIX}")
    return Student(**{**vars(student), "init": "file", "weights": weights})


def _outputs_of_all(
    compute: Callable[[Tensor], Tensor], images: LabelledImages, size_px: int, device: torch.device
) -> Tensor:
    """`compute` of the centre of every image, (num_images, dim)."""
    parts = torch.split(images.images, BATCH)
    return torch.cat([compute(centre_crop_float(part.to(device), size_px)) for part in parts])


def _entries(network: nn.Module) -> dict[str, torch.Size]:
    """Shapes of the state below the classifiers, by name."""
    left = tuple(f"{name}." for name in classifier_names(network))
    state = network.state_dict()
    return {name: value.shape for name, value in state.items() if not name.startswith(left)}

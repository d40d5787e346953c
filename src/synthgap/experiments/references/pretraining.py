"""What a reference learns without labels: its network, its training, its train step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch

from synthgap.errors import DataError
from synthgap.experiments.runs.sources import Source
from synthgap.guidance.pretexts import NUM_ROTATIONS, contrastive, rotation
from synthgap.models.reference import NetworkSpec, Preprocessing, ReferenceOrigin
from synthgap.params.references import Pretext
from synthgap.params.sections import Student, Training
from synthgap.training.epoch_runner import TrainStepFactory
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.train_spec import TrainSpec

LEAST_IMAGES = 2  # to tell apart
TRAIN_STEPS: Mapping[str, Callable[[Pretext], TrainStepFactory]] = {
    "contrastive": lambda pretext: contrastive(pretext.temperature),
    "rotation": lambda pretext: rotation(),  # noqa: ARG005 - as the others are called
}
CROPS = {"contrastive": 2, "rotation": 1}  # of an image in every step


@dataclass(frozen=True)
class Pretraining:
    """One reference's training."""

    pretext: Pretext
    network: NetworkSpec
    train_spec: TrainSpec
    origin: ReferenceOrigin

    @classmethod
    def of(cls, pretext: Pretext, student: Student, training: Training, source: Source) -> Self:
        """All but the seed and name; labels of the images go no further than here.

        Raises:
            DataError: there are too few images.
        """
        images = source.images
        if len(images) < LEAST_IMAGES:
            raise DataError(
                f"{images.root}: {len(images)} images, expected at least {LEAST_IMAGES} for a "
                "reference to learn from; give the split more (data.splits), or set kind: pin"
            )
        train_spec = TrainSpec(
            name="",
            images=without_labels(source.labelled),
            training=training_of(training, pretext),
            seed=0,
            scored={},
        )
        origin = ReferenceOrigin("train", pretext.task, source.name, images.digest, len(images), 0)
        return cls(pretext, network_of(pretext, student), train_spec, origin)

    def named(self, name: str, seed: int) -> Self:
        """The same under a name and seed."""
        return replace(self, train_spec=replace(self.train_spec, name=name, seed=seed))

    @property
    def train_step(self) -> TrainStepFactory:
        """What a step is."""
        return TRAIN_STEPS[self.pretext.task](self.pretext)

    @property
    def preprocessing(self) -> Preprocessing:
        """What the network is made for: the crops that it learns from."""
        known = self.train_spec.normalisation
        return Preprocessing(self.train_spec.training.global_crops.size, known.mean, known.std)


def without_labels(labelled: LabelledImages) -> LabelledImages:
    """The images alone: every label is -1."""
    return LabelledImages(labelled.images, torch.full_like(labelled.labels, -1))


def network_of(pretext: Pretext, student: Student) -> NetworkSpec:
    """The network that is trained; `model` null is the student's own."""
    own = pretext.model is None
    contrasting = pretext.task == "contrastive"
    return NetworkSpec(
        model=pretext.model or student.model,
        options=student.options if own else pretext.options,
        stem=student.stem if own else "imagenet",
        outputs=pretext.projection if contrasting else NUM_ROTATIONS,
        temperature=pretext.temperature if contrasting else None,
    )


def training_of(training: Training, pretext: Pretext) -> Training:
    """The student's training with what the pretext says in its place."""
    crops = replace(
        training.global_crops,
        count=CROPS[pretext.task],
        scale=pretext.scale,
        jitter=pretext.jitter,
    )
    return replace(
        training,
        epochs=pretext.epochs,
        warmup_epochs=min(training.warmup_epochs, pretext.epochs - 1),
        last_epochs=min(training.last_epochs, pretext.epochs),
        batch_size=max(pretext.batch_size // training.accumulate, 1) * training.accumulate,
        optimizer=pretext.optimizer,
        base_lr=pretext.learning_rate,
        lr_scaling="none",
        weight_decay=pretext.weight_decay,
        supervision="labels",
        augmentation="dino",
        global_crops=crops,
        local_crops=replace(training.local_crops, count=0),
    )

"""What the comparisons train: trex's multi-crop with all its colours, stock students of timm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from accelerate import Accelerator
from torch import nn
from torch.nn import functional

from synthgap.models.build import build_student
from synthgap.params.sections import AugMix, Crops, PixMix, Student, Training
from synthgap.training.batch_loader import Batch
from synthgap.training.epoch_runner import EpochRunner
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.supervised_step import SupervisedStep, supervised_step
from synthgap.training.train_spec import TrainSpec

COLOUR = {"flip": 0.5, "jitter": 0.8, "grayscale": 0.2}
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1}
GLOBAL = Crops(1, 32, (0.25, 1.0), **COLOUR, **JITTER, blur=0.2, solarise=0.2)
LOCAL = Crops(8, 16, (0.05, 0.25), **COLOUR, **JITTER, blur=0.5, solarise=0.0)


def training_of(
    global_px: int = 32, local_px: int = 16, *, epochs: int = 1, batch_size: int = 64
) -> Training:
    """Paper settings (MtG, appendix F) with 1 global and 8 local crops of these sizes."""
    return Training(
        epochs=epochs,
        batch_size=batch_size,
        accumulate=1,
        optimizer="sgd",
        base_lr=0.1,
        lr_scaling="none",  # the peak itself is trex's, whose total batch is 256
        final_lr=1e-6,
        warmup_epochs=0,
        schedule="cosine",
        momentum=0.9,
        weight_decay=1e-4,
        last_epochs=1,
        frozen_bn_stats="eval",
        running_stats="all_crops",
        scoring_stats="running",
        normalise="imagenet",
        supervision="labels",
        embedding_weight=1.0,
        augmentation="dino",
        global_crops=replace(GLOBAL, size=global_px),
        local_crops=replace(LOCAL, size=local_px),
        augmix=AugMix(severity=3, width=3, depth=-1, alpha=1.0, jsd_weight=0.0),
        pixmix=PixMix("fractals", num_pictures=1, severity=3, rounds=4, beta=3.0),
    )


def student(name: str, num_classes: int, *, seed: int) -> nn.Module:
    """A timm model as it is, with its stock stem and its linear classifier."""
    return build_student(
        Student(name, {}, "imagenet", "random", None, "linear", 1.0), num_classes, seed=seed
    )


def noise(num_images: int, size_px: int, *, num_classes: int) -> LabelledImages:
    """Random pixels and labels: what they show costs nothing more or less."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (num_images, size_px, size_px, 3), dtype=np.uint8)
    return LabelledImages.of(pixels, draw.integers(0, num_classes, num_images))


def learner_of(
    model: nn.Module,
    images: LabelledImages,
    training: Training,
    accelerator: Accelerator,
    *,
    steps: int,
) -> EpochRunner:
    """A learner by plain descent, whose epoch has so many steps."""
    train_spec = TrainSpec("bench", images, training, 0, {}, steps)
    return EpochRunner(train_spec, supervised_step(model, train_spec, accelerator))


def model_alone(runner: EpochRunner, batch: Batch, *, steps: int) -> Callable[[], None]:
    """The plainest loop that trains the learner's student, on one batch again and again."""
    train_step = runner.train_step
    assert isinstance(train_step, SupervisedStep)
    accelerator = train_step.learning.accelerator
    labels = batch.targets.tiled(sum(len(crops) for crops in batch.crops)).labels
    for group in train_step.learning.optimizer.param_groups:
        group["lr"] = 0.01

    def run() -> None:
        train_step.passes.train()
        for _ in range(steps):
            with accelerator.autocast():
                logits, _ = train_step.passes(batch.crops)
            accelerator.backward(functional.cross_entropy(logits.float(), labels))
            train_step.moving.step()
            train_step.moving.zero_grad()

    return run

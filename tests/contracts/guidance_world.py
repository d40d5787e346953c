"""A tiny task for every method of guidance, and what comes of it."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from accelerate import Accelerator
from torch.nn import functional

from synthgap.guidance.method_context import MethodContext
from synthgap.guidance.methods import METHODS
from synthgap.guidance.reference import ReferenceNetwork
from synthgap.models.build import build_student
from synthgap.models.reference import Preprocessing
from synthgap.params.guidance import Adda, Dada, Dann, Guide, Ltda, Pg, Prefix, Rg, Weights
from synthgap.params.references import Asg, Csg
from synthgap.params.sections import AugMix, Crops, PixMix, Student, Training
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.loop import fit_phases
from synthgap.training.train_spec import TrainSpec

NUM_REAL, NUM_SYNTHETIC, NUM_CLASSES, SIZE_PX = 8, 24, 2, 8
EPOCHS, STEPS = 4, 2  # of every method; two phases share the epochs 3 to 1
NARROW = {"channels": (8, 8, 8, 8), "stem_width": 8}
FLIPS = ("flip", "grayscale", "blur", "solarise")
COLOURS = ("jitter", "brightness", "contrast", "saturation", "hue")
PLAIN = dict.fromkeys((*FLIPS, *COLOURS), 0.0)
TRAINING = Training(
    epochs=EPOCHS,
    batch_size=8,
    accumulate=1,
    optimizer="sgd",
    base_lr=0.1,
    lr_scaling="none",
    final_lr=1e-6,
    warmup_epochs=0,
    schedule="cosine",
    momentum=0.9,
    weight_decay=1e-4,
    last_epochs=1,
    frozen_bn_stats="update",  # a few steps carry nothing into running ones; see `loss_on`
    running_stats="global_crops",
    scoring_stats="running",
    normalise="imagenet",
    supervision="labels",
    embedding_weight=1.0,
    augmentation="pytorch",
    global_crops=Crops(1, SIZE_PX, (0.5, 1.0), **PLAIN),
    local_crops=Crops(0, SIZE_PX, (0.5, 1.0), **PLAIN),
    augmix=AugMix(3, 3, -1, 1.0, 0.0),
    pixmix=PixMix("fractals", 4, 3, 2, 3.0),
)
GUIDE = Guide(
    image_set="g2.0",
    seeds=(1,),
    epochs=EPOCHS,
    augmentation="pytorch",
    real_share=0.5,
    adaptation_share=0.25,
    adaptation_rate=0.5,
    pg=Pg("tutor", None, None, "cosine", "kl", 1.0, Weights(l1=0.5, kl=0.5)),
    rg=Rg(0.5, 0.5, "whole"),
    asg=Asg("tutor", 0.1, 1.0),
    csg=Csg("twin", 0.1, 0.1, (2, 4), "attention", 8),
    prefix=Prefix(depth=2, adaptation_share=0.5),
    dann=Dann((8,), 10.0, 0.1, 1.0),
    adda=Adda((8,), 0.1, 1.0),
    dada=Dada(10.0, 1.0, 0.1),
    ltda=Ltda(0.999, 0.1, 0.5, 0.1),
)


def network(seed, *, channels=(8, 8, 8, 8), outputs=NUM_CLASSES):
    spec = Student(
        "resnet10t", {**NARROW, "channels": channels}, "imagenet", "random", None, "cosine", 0.1
    )
    return build_student(spec, outputs, seed=seed)


@cache
def reference(seed, **shape):
    """Frozen, so that all tasks share it."""
    frozen = network(seed, outputs=3, **shape).eval().requires_grad_(requires_grad=False)
    preprocessing = Preprocessing(SIZE_PX, (0.5,) * 3, (0.5,) * 3)
    return ReferenceNetwork(
        frozen, preprocessing, f"digest {seed}", {"title": f"reference {seed}"}, 3
    )


def labelled(count, *, seed):
    """Images of two classes that brightness tells apart."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % NUM_CLASSES
    pixels = draw.integers(0, 100, (count, SIZE_PX, SIZE_PX, 3))
    return LabelledImages.of((pixels + 120 * labels[:, None, None, None]).astype(np.uint8), labels)


def noise(images, *, seed=5):
    """As many images with the same labels that show nothing."""
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, images.images.shape, generator=draw, dtype=torch.uint8)
    return replace(images, images=pixels)


def method_context(*, real=None, synthetic=None, seed=1):
    real = labelled(NUM_REAL, seed=0) if real is None else real
    synthetic = labelled(NUM_SYNTHETIC, seed=1) if synthetic is None else synthetic
    train_spec = TrainSpec(
        "lesson", real.joined(synthetic), TRAINING, seed, {}, steps_per_epoch=STEPS
    )
    references = {"tutor": reference(5, channels=(8, 8, 8, 16)), "twin": reference(6)}
    counts = (len(real), len(synthetic), NUM_CLASSES)
    return MethodContext(network(seed), train_spec, *counts, GUIDE, references, network)


def as_given(name, images):
    """Real images as a method is given them: without labels where it may not have any."""
    if METHODS[name].real != "images":
        return images
    return replace(images, labels=torch.full_like(images.labels, -1))


def learned(name, given, checkpointer_of=lambda _number: None):
    """The task's student after all phases of a method, and its epochs."""
    accelerator = Accelerator(cpu=True)
    student = given.student
    phases = METHODS[name].phases(given)
    return student, list(fit_phases(student, phases, accelerator, checkpointer_of))


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def loss_on(model, images):
    """Cross-entropy with batch statistics, which a few steps do not carry into the running ones."""
    model = copy.deepcopy(model).train()
    with torch.no_grad():
        return functional.cross_entropy(model(images.images / 255), images.labels).item()

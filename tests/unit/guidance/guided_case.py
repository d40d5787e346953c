"""A small task of few real and more synthetic images, and the same work in one or two processes."""

from __future__ import annotations

import copy
import multiprocessing
import os
import socket
import traceback
from dataclasses import replace

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from synthgap.guidance.method_context import MethodContext
from synthgap.guidance.reference import ReferenceNetwork
from synthgap.models.build import build_student
from synthgap.models.reference import Preprocessing
from synthgap.params.guidance import Guide, Pg, Rg, Weights
from synthgap.params.sections import AugMix, Crops, PixMix, Student, Training
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.loop import fit
from synthgap.training.train_spec import TrainSpec

COLOUR = ["jitter", "brightness", "contrast", "saturation", "hue", "grayscale", "blur", "solarise"]
PLAIN = dict.fromkeys(["flip", *COLOUR], 0.0)
NUM_REAL, NUM_SYNTHETIC = 6, 18
PG = Pg("tutor", None, None, "cosine", "kl", 0.5, Weights(l1=3.0, kl=5.0))
RG = Rg(0.5, 1.0, "whole")


def training(**changed):
    settings = {
        "epochs": 1,
        "batch_size": 12,
        "accumulate": 1,
        "optimizer": "sgd",
        "base_lr": 0.5,
        "lr_scaling": "none",
        "final_lr": 1e-6,
        "warmup_epochs": 0,
        "schedule": "constant",
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "last_epochs": 1,
        "frozen_bn_stats": "eval",
        "running_stats": "all_crops",
        "scoring_stats": "running",
        "normalise": "imagenet",
        "supervision": "labels",
        "embedding_weight": 1.0,
        "augmentation": "dino",
        "global_crops": Crops(1, 16, (0.5, 1.0), **PLAIN),
        "local_crops": Crops(2, 8, (0.2, 0.5), **PLAIN),
        "augmix": AugMix(3, 3, -1, 1.0, 0.0),
        "pixmix": PixMix("fractals", 4, 3, 2, 3.0),
    }
    return Training(**{**settings, **changed})


def images(count, seed):
    """Of two classes that brightness tells apart."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    pixels = draw.integers(0, 100, (count, 16, 16, 3)) + 120 * labels[:, None, None, None]
    return LabelledImages.of(pixels.astype(np.uint8), labels)


def student(seed=1, norm="groupnorm1"):
    """Group norm: samples do not see each other, so that a batch may be split."""
    options = {"channels": (8, 8, 8, 8), "stem_width": 8, "norm_layer": norm}
    spec = Student("resnet10t", options, "imagenet", "random", None, "linear", 1.0)
    return build_student(spec, 2, seed=seed)


def reference():
    """Another architecture, with random weights."""
    options = {"channels": (8, 8, 8, 16), "stem_width": 8, "norm_layer": "groupnorm1"}
    spec = Student("resnet14t", options, "imagenet", "random", None, "linear", 1.0)
    network = build_student(spec, 3, seed=5).eval().requires_grad_(False)
    return ReferenceNetwork(
        network, Preprocessing(16, (0.5,) * 3, (0.5,) * 3), "digest", {"title": "tutor"}, 3
    )


def method_context(*, pg=PG, rg=RG, real_share=0.25, num_real=NUM_REAL, **changed):
    both = images(NUM_SYNTHETIC, 1)
    if num_real:
        both = images(num_real, 0).joined(both)
    train_spec = TrainSpec("lesson", both, training(**changed), 1, {}, steps_per_epoch=2)
    rest = dict.fromkeys(("asg", "csg", "prefix", "dann", "adda", "dada", "ltda"))
    guide = Guide("g", (1,), 2, "dino", real_share, 0.25, 0.5, pg=pg, rg=rg, **rest)
    guides = {"tutor": reference()}
    return MethodContext(student(), train_spec, num_real, NUM_SYNTHETIC, 2, guide, guides, student)


def learned(given, method, accelerator, *, steps=None):
    """State of a fresh copy of the task's student after all phases of a method, and its epochs."""
    own = replace(given, student=copy.deepcopy(given.student))
    epochs = []
    for phase in method(own):
        train_spec = (
            phase.train_spec if steps is None else replace(phase.train_spec, steps_per_epoch=steps)
        )
        epochs += fit(own.student, train_spec, accelerator, train_step=phase.train_step)
    return {name: value.clone() for name, value in own.student.state_dict().items()}, epochs


def moved(before, after):
    """The largest change of any weight."""
    return max(float((after[name] - before[name]).abs().max()) for name in before)


def apart(first, second):
    """How far two states are from each other, beside how far the student has moved."""
    return moved(first, second) / moved(student().state_dict(), first)


def one():
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(cpu=True)


def in_two_processes(path, work):
    """What `work(accelerator)` gives in the first of two processes, through a file at `path`."""
    port = _free_port()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_child, args=(rank, port, path, work)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=900)  # one that fails leaves the other waiting; a busy machine is slow
        process.kill()
    complaints = [file.read_text() for file in path.parent.glob(f"{path.name}.*.failed")]
    assert not complaints, "\n".join(complaints)
    return torch.load(path)


def _child(rank, port, path, work):
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        ACCELERATE_USE_CPU="true",
    )
    try:
        torch.set_num_threads(1)
        accelerator = one()
        assert accelerator.num_processes == 2
        found = work(accelerator)
        if rank == 0:
            torch.save(found, path)
    except BaseException:  # noqa: BLE001 - the parent tells it
        path.with_name(f"{path.name}.{rank}.failed").write_text(traceback.format_exc())
        os._exit(1)
    os._exit(0)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

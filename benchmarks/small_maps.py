"""What the main job gains by `SmallMapConv2d`: epochs of the shipped student, with it and without.

Both sides have channels-last weights; `stock` has PyTorch's own convolution everywhere. Student,
crops and batch are those of the shipped params.yaml, the images random. `gain` is stock / fast.

    python benchmarks/small_maps.py [--quick] [--rounds 7] [--threads 1]
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn
from train_specs import learner_of, noise
from turns import arguments, in_turns, keep, quotients, report, spread

from synthgap.models.build import build_student
from synthgap.models.memory_layout import SmallMapConv2d
from synthgap.params import read_params
from synthgap.training.checkpointing import EpochProgress
from synthgap.training.epoch_runner import EpochRunner

ROOT = Path(__file__).resolve().parents[1]
TARGET = 1.1
NUM_IMAGES, CLASSES = 600, 10


def runner(steps: int, *, stock: bool) -> EpochRunner:
    """The engine that trains the shipped student."""
    params = read_params(ROOT / "params.yaml")
    model = build_student(params.student, CLASSES, seed=0)
    images = noise(NUM_IMAGES, params.data.image_size, num_classes=CLASSES)
    training = dataclasses.replace(params.training, epochs=1, warmup_epochs=0, last_epochs=1)
    made = learner_of(model, images, training, Accelerator(cpu=True), steps=steps)
    fast = [module for module in model.modules() if isinstance(module, SmallMapConv2d)]
    assert fast
    for module in fast if stock else []:
        module.__class__ = nn.Conv2d
    return made


def main() -> None:
    """Measure, print and keep."""
    parser = arguments(__doc__ or "", rounds=7, threads=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    steps, rounds = (2, 2) if given.quick else (20, given.rounds)
    runners = {"fast": runner(steps, stock=False), "stock": runner(steps, stock=True)}
    times = in_turns(
        {
            name: lambda one=one: one.epoch(1, EpochProgress(), None)
            for name, one in runners.items()
        },
        rounds,
    )
    gain = quotients(times["stock"], times["fast"])
    report("stock convolutions / SmallMapConv2d", gain, f"{TARGET}", met=gain["median"] >= TARGET)
    found = {
        "gain": gain,
        "steps": steps,
        "seconds": {name: spread(values) for name, values in times.items()},
    }
    keep(given, found)


if __name__ == "__main__":
    main()

"""Whole training steps on a GPU against the model alone: ResNet-50, 1x224 + 8x96 px crops.

The set lies on the GPU, ImageNet-100 in shape (100 classes, random uint8 pixels of 256 px). bf16,
channels-last, compiled. FLOP are those of convolutions and matrix products, a step as three
forwards. `--toy` tries everything on a CPU, at a size that says nothing about speed.

    PYTHONPATH=src python benchmarks/gpu_throughput.py [--images 20000] [--batch 256] [--toy]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from train_specs import learner_of, model_alone, noise, student, training_of
from turns import Times, arguments, in_turns, keep, quotients, report, spread

from synthgap.models.units import unit_flops
from synthgap.training.checkpointing import EpochProgress

TARGET = 0.9
PEAK_BF16 = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # FLOP/s, dense, by data sheets


@dataclass(frozen=True)
class Size:
    """What is trained."""

    model: str = "resnet50"
    stored_px: int = 256
    global_px: int = 224
    local_px: int = 96
    classes: int = 100
    steps: int = 20


TOY = Size("resnet18", stored_px=40, global_px=32, local_px=16, classes=10, steps=2)


def finished(work: Callable[[], object]) -> Callable[[], None]:
    """Wait for the GPU too."""

    def run() -> None:
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return run


def flop_of_image(size: Size) -> float:
    """Operations of training on one image: all its crops, forward and backward."""
    model = student(size.model, size.classes, seed=0)
    return 3.0 * (
        sum(unit_flops(model, size.global_px)) + 8 * sum(unit_flops(model, size.local_px))
    )


def measure(size: Size, images: int, batch_size: int, rounds: int) -> Times:
    """Seconds of `whole`, `model` and `input`, a round being `size.steps` steps."""
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision="bf16",
        dynamo_backend="inductor" if torch.cuda.is_available() else "no",
    )
    training = training_of(size.global_px, size.local_px, batch_size=batch_size)
    pixels = noise(images, size.stored_px, num_classes=size.classes).resident(accelerator.device)
    whole, alone = (
        learner_of(
            student(size.model, size.classes, seed=0),
            pixels,
            training,
            accelerator,
            steps=size.steps,
        )
        for _ in range(2)
    )
    _, (batch,) = next(iter(alone.train_step.loader.steps(1, after=0)))
    sides = {
        "whole": lambda: whole.epoch(1, EpochProgress(), None),
        "model": model_alone(alone, batch, steps=size.steps),
        "input": lambda: list(whole.train_step.loader.steps(1, after=0)),
    }
    return in_turns({name: finished(work) for name, work in sides.items()}, rounds)


def measured(times: Times, per_round: int, flop: float, device: str) -> dict[str, Any]:
    """Rates and shares, printed."""
    rates = {name: spread([per_round / t for t in values]) for name, values in times.items()}
    achieved = rates["whole"]["median"] * flop
    peak = next((peak for name, peak in PEAK_BF16.items() if name in device), None)
    ratio = quotients(times["model"], times["whole"])
    print({name: round(rate["median"]) for name, rate in rates.items()}, "images/s on", device)
    print(f"{achieved / 1e12:.1f} TFLOP/s", f"({achieved / peak:.0%} of peak)" if peak else "")
    return {
        "images_per_s": rates,
        "flop_per_image": flop,
        "flop_per_s": achieved,
        "share_of_peak": achieved / peak if peak else None,
        "ratio": ratio,
        "input_share": quotients(times["input"], times["whole"]),
    }


def main() -> None:
    """Measure, print, keep."""
    parser = arguments(__doc__, rounds=7, threads=2)
    parser.add_argument("--images", type=int, default=20_000, help="in the set; each takes 197 kB")
    parser.add_argument("--batch", type=int, default=256, help="trex's total: 4 GPUs of 64")
    parser.add_argument("--toy", action="store_true", help="on a CPU too; writes nothing")
    given = parser.parse_args()
    if not torch.cuda.is_available() and not given.toy:
        print("no GPU here: skipped (--toy tries it on a CPU)")
        return
    given.quick = given.quick or given.toy
    size = TOY if given.toy else Size()
    images, batch = (64, 8) if given.toy else (given.images, given.batch)
    times = measure(size, images, batch, rounds=2 if given.quick else given.rounds)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    found = measured(times, batch * size.steps, flop_of_image(size), device)
    ratio = found["ratio"]
    met = ratio["median"] >= TARGET
    if given.toy:
        print("it runs; a toy's speed says nothing")
        return
    report("whole step over model alone", ratio, f"at least {TARGET}", met=met)
    setting = {**vars(size), "images": images, "batch": batch, "precision": "bf16"}
    target = {"at_least": TARGET}
    keep(given, {"what": setting, **found, "target": target, "seconds": times}, device=device)


if __name__ == "__main__":
    main()

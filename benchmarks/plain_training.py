"""Train ResNet-18 on CIFAR-10 end to end: the engine against the same training written plainly.

Both read the same JPEG files (a fixed stratified subset: 5,000 for training, 2,000 for testing),
start from the same weights, cut 1x32 + 8x16 px crops with all colours, and score after each of five
epochs. The engine packs its pixels in the measured time. The plain side (plain.py) takes whichever
of 0, 1 or 2 workers was fastest here. `--full` takes all images.

    python benchmarks/plain_training.py [--data cifar10.zip] [--full | --quick] [--rounds 2]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import plain
import torch
from accelerate import Accelerator
from train_specs import student, training_of
from turns import arguments, keep, quotients, report

from synthgap.data.image_set import ImageSet, write_manifest
from synthgap.params.sections import Training
from synthgap.seeding import stream
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.loop import fit
from synthgap.training.train_spec import TrainSpec

TARGET = 1.5
TEST_DATA = Path(os.environ.get("SYNTHGAP_TEST_DATA", "../shared"))
WORKERS = (0, 1, 2)


@dataclass(frozen=True)
class Size:
    """How much is trained; images are counted by class, None for all."""

    train: int | None = 500
    test: int | None = 200
    epochs: int = 5
    probe_steps: int = 15


FULL, QUICK = Size(train=None, test=None), Size(train=32, test=10, epochs=1, probe_steps=2)


def unpack(archive: Path, folder: Path, size: Size) -> None:
    """Lay a fixed subset of <split>/<class>/<file>.jpg out as the archive has it."""
    groups: dict[tuple[str, str], list[str]] = {}
    with zipfile.ZipFile(archive) as opened:
        for name in sorted(opened.namelist()):
            if name.endswith(".jpg"):
                split, kind, _ = name.split("/")
                groups.setdefault((split, kind), []).append(name)
        for (split, kind), names in groups.items():
            wanted = size.train if split == "train" else size.test
            order = stream(0, "benchmark", split, kind).permutation(len(names))[:wanted]
            opened.extractall(folder, [names[index] for index in sorted(order)])


def packed(folder: Path, store: Path) -> LabelledImages:
    """An image folder as an image set, decoded once into the store."""
    paths = sorted(folder.glob("*/*.jpg"))
    classes = sorted({path.parent.name for path in paths})
    columns = {
        "path": [str(path.relative_to(folder)) for path in paths],
        "label": [classes.index(path.parent.name) for path in paths],
        "sha256": [sha256(path.read_bytes()).hexdigest() for path in paths],
    }
    write_manifest(folder, kind="real", classes=classes, columns=columns)
    images = ImageSet.read(folder)
    return LabelledImages.of(images.pixels(32, store=store), images.labels)


def engine(folder: Path, training: Training, seed: int) -> list[float]:
    """Top-1 on the test images after each epoch, by the engine."""
    with tempfile.TemporaryDirectory() as store:
        train, test = (packed(folder / split, Path(store)) for split in ("train", "test"))
        train_spec = TrainSpec("bench", train, training, seed, {"test": test})
        model = student("resnet18", 10, seed=seed)
        epochs = list(fit(model, train_spec, Accelerator(cpu=True)))
    return [epoch.metrics["test/top1"] for epoch in epochs]


def plainly(folder: Path, training: Training, seed: int, workers: int) -> list[float]:
    """The same by the plain side."""
    torch.manual_seed(seed)
    data = plain.Data(folder / "train", folder / "test", workers)
    return plain.train(student("resnet18", 10, seed=seed), data, training)


def fastest_workers(folder: Path, training: Training, steps: int) -> tuple[int, dict[int, float]]:
    """The number of workers with which some plain steps took least, and what each took."""
    seconds = {}
    for workers in WORKERS:
        data = plain.Data(folder / "train", folder / "test", workers)
        model = student("resnet18", 10, seed=0)
        seconds[workers] = plain.seconds_of_steps(model, data, training, steps)
    return min(seconds, key=seconds.__getitem__), seconds


def compare(folder: Path, size: Size, rounds: int) -> dict[str, Any]:
    """Both sides in turns, one seed a round."""
    training = training_of(epochs=size.epochs)
    workers, probe = fastest_workers(folder, training, size.probe_steps)
    print("plain steps, seconds by workers:", {n: round(t, 1) for n, t in probe.items()})
    seconds: dict[str, list[float]] = {"engine": [], "plain": []}
    top1: dict[str, list[list[float]]] = {"engine": [], "plain": []}
    for seed in range(rounds):
        for side, work in (
            ("plain", lambda seed=seed: plainly(folder, training, seed, workers)),
            ("engine", lambda seed=seed: engine(folder, training, seed)),
        ):
            started = time.perf_counter()
            top1[side].append(work())
            seconds[side].append(time.perf_counter() - started)
            print(f"{side}, seed {seed}: {seconds[side][-1]:.1f} s, top-1 {top1[side][-1][-1]:.1f}")
    return {
        "size": vars(size),
        "workers": workers,
        "probe_seconds": probe,
        "seconds": seconds,
        "top1": top1,
        "ratio": quotients(seconds["plain"], seconds["engine"]),
    }


def main() -> None:
    """Measure, print, keep."""
    parser = arguments(__doc__, rounds=2, threads=2)
    parser.add_argument("--data", type=Path, help="CIFAR-10's archive")
    parser.add_argument("--full", action="store_true", help="all of CIFAR-10")
    given: argparse.Namespace = parser.parse_args()
    archive = given.data or TEST_DATA / "data" / "cifar10.zip"
    if given.data is None and not archive.is_file():
        print(f"{archive}: not there, skipped; name CIFAR-10's archive with --data")
        return
    torch.set_num_threads(given.threads)
    size = FULL if given.full else QUICK if given.quick else Size()
    with tempfile.TemporaryDirectory() as folder:
        unpack(archive, Path(folder), size)
        found = compare(Path(folder), size, 1 if given.quick else given.rounds)
    for side, runs in found["top1"].items():
        last = [run[-1] for run in runs]
        mean, std = statistics.fmean(last), statistics.pstdev(last)
        print(f"{side}: top-1 {mean:.1f} +/- {std:.1f} (n={len(last)})")
    ratio = found["ratio"]
    met = ratio["median"] >= TARGET
    report("plain training over the engine's", ratio, f"at least {TARGET}", met=met)
    what = "ResNet-18 on CIFAR-10, stock stem, 1x32 + 8x16, batch 64, end to end"
    keep(given, {"what": what, **found, "target": {"at_least": TARGET}})


if __name__ == "__main__":
    main()

"""Cells as stages would leave them, written straight to disk: no training, equal every time."""

from __future__ import annotations

import json
import math
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

RECIPE = "digits"
STUDENT = {
    "model": "resnet10t",
    "options": {"channels": [8, 8, 16, 16], "stem_width": 8},
    "stem": "imagenet",
    "init": "random",
    "weights": None,
    "head": "cosine",
    "temperature": 0.1,
}
TRAINING = {"epochs": 4, "last_epochs": 2, "batch_size": 32, "local_crops": {"count": 8, "size": 8}}
ENVIRONMENT = {"torch": "2.15.0", "threads": 1}
SCALE = 2.0


def hexed(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def record(experiment: str, name: str, **given: object) -> dict:
    """A RUN record with epochs whose last accuracy is `accuracy`."""
    accuracy = float(given.pop("accuracy", 90.0))
    num_epochs = int(given.pop("num_epochs", 4))
    run = {
        "digest": hexed(f"{experiment} {name} {given.pop('version', 1)}"),
        "name": name,
        "experiment": experiment,
        "recipe": RECIPE,
        "student": "resnet10t",
        "set": "train",
        "source": "real",
        "donor_set": None,
        "direction": None,
        "arm": None,
        "ablation": None,
        "variant": None,
        "depth": None,
        "fraction": 1.0,
        "guidance_scale": None,
        "seed": 0,
        "real_labels": {"generator": 0, "donor": 0, "student": 600},
        "num_images": 600,
        "num_steps": 72,
        "peak_lr": 0.02,
        **given,
    }
    run["epochs"] = [
        {
            "epoch": number,
            "learning_rate": 0.02 * (1 + math.cos(math.pi * number / num_epochs)) / 2,
            "train/loss": 2.3 * math.exp(-number / 2),
            "train/top1": accuracy - 20 * math.exp(-number / 2),
            "val/top1": accuracy - 0.5 - 30 * math.exp(-number),
            "test/top1": accuracy - 30 * math.exp(-number),
        }
        for number in range(1, num_epochs + 1)
    ]
    run["last"] = {
        key: {"mean": accuracy - shift, "std": 0.2, "n": 2, "over": "epochs"}
        for key, shift in (("test/top1", 0.0), ("val/top1", 0.5))
    }
    return run


def write_cell(root: Path, runs: list[dict], *coordinates: object) -> Path:
    """Write `run.json` and `samples.png` of one cell; return its folder."""
    experiment = runs[0]["experiment"]
    folder = root / "artifacts" / experiment / RECIPE
    if coordinates:
        folder = folder / "-".join(str(part) for part in coordinates)
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "schema": 1,
        "experiment": experiment,
        "recipe": RECIPE,
        "inputs": inputs_of(),
        "environment": ENVIRONMENT,
        "params": params_of(experiment),
        "units": [],
        "runs": runs,
    }
    (folder / "run.json").write_text(json.dumps(content))
    noise = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "samples.png")
    return folder


def inputs_of() -> dict[str, str]:
    sets = ("train", "g2.0", "val", "test")
    return {f"artifacts/sets/{RECIPE}/{name}": hexed(name) for name in sets}


def params_of(experiment: str) -> dict:
    return {"seed": 1, "student": STUDENT, "training": TRAINING, experiment: {"seeds": [0, 1]}}


def transfer_runs(depth: int, *, seeds: tuple[int, ...] = (0, 1), shift: float = 0.0) -> list[dict]:
    return [
        record(
            "transfer",
            f"{direction} n{depth} s{seed}",
            direction=direction,
            set=name,
            source=direction.split("->")[1],
            donor_set=donor,
            depth=depth,
            seed=seed,
            guidance_scale=SCALE,
            accuracy=start + slope * depth + 0.1 * seed + shift,
        )
        for direction, donor, name, start, slope in (
            ("synthetic->real", "g2.0", "train", 98.4, -0.5),
            ("real->synthetic", "train", "g2.0", 94.0, 0.8),
        )
        for seed in seeds
    ]


def write_dvc_files(root: Path) -> None:
    lock = "schema: '2.0'\nstages:\n"
    for name in ("train", "g2.0", "test"):  # val is left out: DVC does not know it yet
        lock += f"  make-{name}:\n    outs:\n    - path: artifacts/sets/{RECIPE}/{name}\n"
        lock += f"      md5: {hexed(name)[:32]}.dir\n"
    (root / "dvc.lock").write_text(lock)
    (root / "data.dvc").write_text(f"outs:\n- md5: {hexed('data')[:32]}.dir\n  path: data\n")


def write_donors(root: Path) -> None:
    """Real, untrained donors with checkpoints, as stage `train` leaves them."""
    from synthgap.models.build import build_student
    from synthgap.models.checkpoint import save_model
    from synthgap.tracking.prefix import student_section

    for seed, (name, source) in enumerate((("train", "real"), ("g2.0", "synthetic"))):
        run = record("train", f"{name} s0", set=name, source=source)
        folder = write_cell(root, [run], name)
        model = build_student(student_section({"student": STUDENT}), 10, seed=seed)
        about = {
            "run": run["digest"],
            "recipe": RECIPE,
            "set": name,
            "seed": 0,
            "real_labels": run["real_labels"],
            "num_classes": 10,
            "classes": [str(digit) for digit in range(10)],
            "normalisation": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
            "image_size": 16,
        }
        save_model(folder / "student-s0", model, about)

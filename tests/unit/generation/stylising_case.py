"""Small image sets and a small network to style them: a second to make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from generation_case import RUNTIME

from synthgap.data.image_set import ImageSet, write_manifest, write_png
from synthgap.generation.derived.stylise import StyliseParams, stylise
from synthgap.jobs import Artifacts, Log, silent
from synthgap.params.sections import Data, Splits, Stylise

SIZE_PX, CLASSES = 16, ("bar", "spot")
PARENTS = {"corpus": "real", "train": "real", "g2.0": "synthetic"}
PARAMS = StyliseParams(
    seed=3,
    runtime=RUNTIME,
    data=Data("tiny", SIZE_PX, "png", Splits(6, 6, 1, "rest")),
    stylise=Stylise(
        guidance_scale=2.0,
        kind="train",
        pin=None,
        pictures="made",
        num_pictures=8,
        strength=1.0,
        channels=(8, 16),
        steps=60,
        batch_size=8,
        learning_rate=5e-3,
        style_weight=1.0,
        threads=1,
    ),
)


def shapes(count: int, draw: np.random.Generator) -> list[tuple[str, int, np.ndarray]]:
    """Path, label and pixels of white bars and spots on black."""
    images = []
    for label, name in enumerate(CLASSES):
        for index in range(count):
            rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX] - draw.integers(5, 11, (2, 1, 1))
            near = abs(columns) < 2.5 if name == "bar" else np.hypot(rows, columns) < 4.5
            image = np.repeat(near[..., None], 3, axis=2).astype(np.uint8) * 220
            images.append((f"{name}/{index}.png", label, image))
    return images


def plain_sets(root: Path, count: int = 6) -> Artifacts:
    """Sets `corpus`, `train` and `g2.0` under `root`."""
    artifacts = Artifacts(root, "tiny")
    for seed, (name, kind) in enumerate(PARENTS.items()):
        folder = artifacts.image_set(name)
        images = shapes(count, np.random.default_rng(seed))
        columns = {
            "path": [path for path, _, _ in images],
            "label": [label for _, label, _ in images],
            "sha256": [write_png(folder / path, image) for path, _, image in images],
        }
        about = {"generator_real_labels": 12} if kind == "synthetic" else {}
        write_manifest(folder, kind=kind, classes=CLASSES, columns=columns, about=about)
    return artifacts


def styled(artifacts: Artifacts, log: Log = silent, **changes) -> dict[str, ImageSet]:
    """Both stylised sets, with `changes` to section stylise."""
    stylise(replace(PARAMS, stylise=replace(PARAMS.stylise, **changes)), artifacts, log)
    return {
        name: ImageSet.read(artifacts.image_set(f"{name}-stylised")) for name in ("train", "g2.0")
    }

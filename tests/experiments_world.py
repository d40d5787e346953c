"""A checkout's artifacts in small: image sets that passed the gate, and students that saw them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from synthgap.data import ImageSet, write_manifest, write_png
from synthgap.jobs import Artifacts, write_json
from synthgap.models.build import build_student
from synthgap.models.checkpoint import save_model
from synthgap.params import read_params
from synthgap.params.sections import Params
from synthgap.params.students import Policy, Subset
from synthgap.training.labelled_images import Normalisation

CLASSES = ("bright", "dark", "mid")
SETS = {
    "train": 8,
    "val": 3,
    "test": 6,
    "g2.0": 8,
    "train-stylised": 8,
    "g2.0-stylised": 8,
    "oracle": 8,
}


@dataclass(frozen=True)
class World:
    artifacts: Artifacts
    params: Params

    def sections(self, shape: type) -> Any:
        """The sections of `shape`, as a stage gets them."""
        return shape(**{field.name: getattr(self.params, field.name) for field in fields(shape)})

    def changed(self, section: str, **values: Any) -> World:
        """The same with other parameters."""
        content = replace(getattr(self.params, section), **values)
        return replace(self, params=replace(self.params, **{section: content}))


def make_world(root: Path, checkout: Path) -> World:
    """Sets of three classes that brightness tells apart, verdicts on them, untrained students."""
    params = _small(read_params(checkout / "params.yaml"))
    world = World(Artifacts(root, params.recipe), params)
    for name in SETS:
        write_set(world.artifacts, name)
    for name in ("train", "g2.0", "oracle"):
        write_verdict(world.artifacts, name)
    for name in ("train", "g2.0"):
        for seed in params.train.seeds:
            _keep_student(world, name, seed)
    return world


def write_set(artifacts: Artifacts, name: str, *, classes=CLASSES, about=None) -> None:
    """Write the set `name`, its pixels named after it; stylised sets say what they come from."""
    root, draw = artifacts.image_set(name), np.random.default_rng(len(name))
    columns: dict[str, list[Any]] = {"path": [], "label": [], "sha256": []}
    for label, class_name in enumerate(classes):
        for index in range(SETS[name]):
            pixels = draw.integers(0, 90, (16, 16, 3)) + 80 * label
            path = f"{class_name}/{index:04d}.png"
            columns["sha256"].append(write_png(root / path, pixels.astype(np.uint8)))
            columns["path"].append(path)
            columns["label"].append(label)
    parent = name.removesuffix("-stylised")
    origin = {}
    if parent != name:
        digest = ImageSet.read(artifacts.image_set(parent)).digest
        origin = {"derived_from": {"name": parent, "digest": digest}}
    kind = "real" if parent in ("train", "val", "test") else "synthetic"
    labels = {} if kind == "real" else {"generator_real_labels": 24 + 24 * (name == "oracle")}
    about = {**labels, **origin, **(about or {})}
    write_manifest(root, kind=kind, classes=classes, columns=columns, about=about)


def write_verdict(artifacts: Artifacts, name: str, **changed: Any) -> None:
    """The gate's good word on a set as it is now."""
    digest = ImageSet.read(artifacts.image_set(name)).digest
    write_json(artifacts.verdict(name), {"passed": True, "digest": digest, **changed})


def _small(params: Params) -> Params:
    training = replace(
        params.training, epochs=2, warmup_epochs=1, last_epochs=1, batch_size=12,
        local_crops=replace(params.training.local_crops, count=1),
    )  # fmt: skip
    student = replace(params.student, options={"channels": (8, 8, 8, 8), "stem_width": 8})
    return replace(
        params,
        training=training,
        student=student,
        train=replace(params.train, seeds=(0, 1)),
        ablate=replace(
            params.ablate,
            seeds=(0,),
            subset_denominator=4,
            policies=get_args(Policy),
            subsets=get_args(Subset),
        ),
        layers=replace(params.layers, seeds=(0, 1), max_images=12),
        runtime=replace(params.runtime, workers=1, device="cpu"),
    )


def _keep_student(world: World, name: str, seed: int) -> None:
    normalisation = Normalisation.imagenet()
    about = {
        "run": f"{name}-{seed}",
        "real_labels": {"student": 24 * (name == "train"), "generator": 24 * (name != "train")},
        "num_classes": len(CLASSES),
        "normalisation": {"mean": normalisation.mean, "std": normalisation.std},
        "image_size": 16,
    }
    stem = world.artifacts.cell("train", name) / f"student-s{seed}"
    other = 10 if name == "train" else 20
    save_model(stem, build_student(world.params.student, len(CLASSES), seed=other + seed), about)

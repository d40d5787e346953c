"""Two sources in small, as stage `gap` finds them: students, their records, and fidelity.json."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from experiments_world import World, make_world

from synthgap.data import ImageSet
from synthgap.experiments.gap.stage import GapParams
from synthgap.jobs import write_json
from synthgap.params.students import Gap

HOW = Gap(
    sets=("train", "g2.0"),
    seeds=(0, 1),
    max_images=1000,
    bins=6,
    high_frequency=0.25,
    saturated_within=1.0,
    sampled=("g2.0",),
    share=0.5,
)
TOP1 = {"train": [30.0, 80.0, 89.5, 90.0], "g2.0": [70.0, 99.5, 99.0, 100.0]}
METRICS = {"precision": 0.75, "recall": 0.5, "density": 1.25, "coverage": 0.625}
REAL = {"what": "corpus against train", "metrics": {**METRICS, "precision": 1.0}}


def make_gap_world(root: Path, checkout: Path) -> World:
    """Sets of 24 images of three classes; the students of `train` took 4 epochs of 2 steps."""
    world = make_world(root, checkout)
    for name, curve in TOP1.items():
        epochs = [
            {"epoch": number, "train/top1": value, "train/loss": 1 / number}
            for number, value in enumerate(curve, 1)
        ]
        runs = [{"seed": seed, "num_steps": 8, "epochs": epochs} for seed in (0, 1)]
        write_json(world.artifacts.cell("train", name) / "run.json", {"runs": runs})
    digest = ImageSet.read(world.artifacts.image_set("g2.0")).digest
    measured = {"sets": {"g2.0": {"digest": digest, "metrics": METRICS}}, "real": REAL}
    write_json(world.artifacts.stage("fidelity") / "fidelity.json", measured)
    return world


def params_of(world: World, how: Gap = HOW) -> GapParams:
    """What the stage is given."""
    given: dict[str, Any] = {
        field.name: getattr(world.params, field.name)
        for field in fields(GapParams)
        if field.name != "gap"
    }
    return GapParams(**given, gap=how)

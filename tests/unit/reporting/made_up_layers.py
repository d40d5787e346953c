"""What stages `layers` and `stylise` leave behind, with invented numbers; for tests only."""

from __future__ import annotations

import numpy as np
from made_up_cells import UNITS, Plan

from synthgap.data import write_png
from synthgap.jobs import Artifacts, write_json


def write_layers(artifacts: Artifacts, plan: Plan, *, units: tuple[str, ...] = UNITS) -> None:
    """Write stage `layers`' numbers: the last units part, and only they."""
    rng = np.random.default_rng(7)
    pairs = {
        "real~synthetic": (0.99, 0.97, 0.95, 0.90, 0.78, 0.70),
        "real~real": (0.99, 0.98, 0.97, 0.95, 0.93, 0.94),
        "synthetic~synthetic": (0.99, 0.98, 0.96, 0.93, 0.90, 0.91),
    }
    probes = {"real": (60, 75, 90, 95.5, 97.5, 97.8), "synthetic": (60, 74, 88, 94, 94.5, 92)}

    def rows(kinds: dict, key: str, value: str, noise: float) -> list[dict]:
        return [
            {key: kind, "seed": seed, "unit": unit, value: level - noise * float(rng.random())}
            for kind, levels in kinds.items()
            for seed in plan.seeds
            for unit, level in zip(units, levels, strict=True)
        ]

    count = len(units)
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    matrices = {
        pair: (np.sqrt(np.outer(levels, levels)) * np.exp(-apart / 2)).tolist()
        for pair, levels in pairs.items()
    }
    matrices["real~real"][0][5] = None
    content = {
        "schema": 1,
        "recipe": plan.recipe,
        "student": plan.student,
        "units": list(units),
        "guidance_scale": 2.0,
        "images": {"cka": 100, "probe_train": 400, "probe_test": plan.num_images},
        "cka": rows(pairs, "pair", "value", 0.015),
        "matrix": matrices,
        "probes": rows(probes, "source", "top1", 1.0),
        "environment": {},
        "inputs": {},
    }
    write_json(artifacts.stage("layers") / "layers.json", content)


def write_stylise(artifacts: Artifacts) -> None:
    """Write stage `stylise`' facts and a picture of noise."""
    folder = artifacts.stage("stylise")
    rng = np.random.default_rng(9)
    write_png(folder / "before_after.png", rng.integers(0, 255, (64, 320, 3), dtype=np.uint8))
    names = ("train", "g2.0")
    texture = {key: {"before": 0.91, "after": 0.12, "from_original": 0.9} for key in names}
    shape = {key: {"own": 0.84, "other": 0.2} for key in names}
    write_json(folder / "run.json", {"texture": texture, "shape": shape})

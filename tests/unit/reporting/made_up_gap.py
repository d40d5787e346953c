"""What stage `gap` leaves behind, with invented numbers; for tests only."""

from __future__ import annotations

import numpy as np
from made_up_cells import Plan, write_cell

from synthgap.data import write_png
from synthgap.jobs import Artifacts, write_json

SETS = ("train", "g2.0", "g7.5")
EASE = {"train": 1.0, "g2.0": 0.7, "g7.5": 0.3}  # how hard a source's images are
CROSS = {
    "train": (99.5, 93.0, 97.0), "g2.0": (90.5, 99.0, 98.5), "g7.5": (78.0, 86.0, 99.9)
}  # fmt: skip
GAINS = {"low_loss": -1.0, "high_loss": 0.8, "random": -0.2}
EPOCHS = range(1, 31)


def write_gap(artifacts: Artifacts, plan: Plan) -> None:
    """Write gap.json, sheets of noise and the sampling experiment's runs."""
    folder = artifacts.stage("gap")
    rng = np.random.default_rng(11)
    sheets = {kind: {name: f"{kind}-{name}.png" for name in SETS[1:]} for kind in ("low", "high")}
    for names in sheets.values():
        for name in names.values():
            write_png(folder / name, rng.integers(0, 255, (60, 240, 3), dtype=np.uint8))
    write_json(folder / "gap.json", content(plan, sheets, rng))
    runs = [
        (place(plan, name, variant), plan.sets["train"] + gain)
        for name in SETS[1:]
        for variant, gain in GAINS.items()
    ]
    write_cell(artifacts, plan, "gap", (), runs)


def place(plan: Plan, name: str, variant: str) -> dict:
    """One run of the sampling experiment, of two of the plan's seeds."""
    return {
        "set": f"train+{name}", "source": "mixed", "guidance_scale": float(name[1:]),
        "ablation": "sampling", "variant": variant, "num_images": plan.num_train + 300,
        "real_labels": {"generator": 700, "donor": 0, "student": plan.num_train},
        "seeds": plan.seeds[:2],
    }  # fmt: skip


def content(plan: Plan, sheets: dict, rng: np.random.Generator) -> dict:
    """gap.json, as the stage writes it."""
    losses = {
        (classifier, name): np.exp(
            rng.normal(np.log(0.02 * EASE[name]) + 1.5 * (classifier != name), 1.2, 600)
        )
        for classifier in SETS
        for name in SETS
    }
    edges = np.concatenate([[0.0], np.geomspace(1e-4, 12, 40)])
    frequencies = np.arange(1, 12) / 16
    return {
        "schema": 1,
        "recipe": plan.recipe,
        "params": {"high_frequency": 0.25},
        "sets": list(SETS),
        "num_images": dict.fromkeys(SETS, 600),
        "cross": {
            learned: {name: estimate(mean) for name, mean in zip(SETS, means, strict=True)}
            for learned, means in CROSS.items()
        },
        "saturation": {name: curves(EASE[name]) for name in SETS},
        "cross_entropy": {
            "edges": edges.tolist(),
            "pairs": [pair(*key, values, edges) for key, values in losses.items()],
        },
        "appearance": {
            name: {
                "frequencies": frequencies.tolist(),
                "log_power": (-8 * frequencies * (2 - EASE[name])).tolist(),
                "high_share": 0.05 * EASE[name],
            }
            for name in SETS
        },
        "content": {
            "g2.0": {"coverage": 0.83, "recall": 0.7},
            "g7.5": {"coverage": 0.41, "recall": 0.22},
        },
        "quality": {
            "g2.0": {"off_manifold": 0.12, "density": 0.9},
            "g7.5": {"off_manifold": 0.05, "density": 1.3},
        },
        "sheets": sheets,
        "selection": {
            "share": 0.5,
            "classifier": "train",
            "added": {
                name: {
                    variant: {"num_images": 300, "loss": 0.1 + gain / 20}
                    for variant, gain in GAINS.items()
                }
                for name in SETS[1:]
            },
        },
    }


def curves(ease: float) -> dict:
    """Curves that rise the sooner the easier the images are."""
    progress = np.asarray(EPOCHS) / (12 * ease)
    return {
        "epochs": list(EPOCHS),
        "train/top1": (100 - 80 * np.exp(-progress)).tolist(),
        "train/loss": (2.3 * np.exp(-progress)).tolist(),
        "saturated": estimate(float(round(min(29, 12 * ease * 4.4)))),
    }


def pair(classifier: str, name: str, values: np.ndarray, edges: np.ndarray) -> dict:
    """One source's losses under another's classifier."""
    return {
        "classifier": classifier, "images": name, "mean": float(values.mean()),
        "counts": np.histogram(values, edges)[0].tolist(), "median": float(np.median(values)),
        "quantiles": {str(q): float(np.quantile(values, q)) for q in (0.05, 0.25, 0.75, 0.95)},
    }  # fmt: skip


def estimate(mean: float) -> dict:
    """Over two seeds."""
    return {"mean": mean, "std": 0.3, "n": 2, "over": "seeds"}

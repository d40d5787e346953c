"""Small cell folders as the experiments write them, with invented numbers; for tests only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from made_up_runs import EPOCHS, LAST, made_up_run

from synthgap.data import write_manifest, write_png
from synthgap.jobs import Artifacts, write_json
from synthgap.params.sections import Grid

UNITS = ("stem", "layer1.0", "layer2.0", "layer3.0", "layer4.0", "fc")
TRAINING = {
    "epochs": EPOCHS,
    "last_epochs": LAST,
    "normalise": "imagenet",
    "augmentation": "dino",
    "supervision": "labels",
}
ABLATED = {  # variant, set, points beside the student without the change
    "normalisation": [
        (variant, name, change)
        for variant, change in (("fed_set", 0.6), ("batch_stats", 0.2))
        for name in ("train", "g2.0")
    ],
    "augmentation": [
        (variant, name, change * (1 if name == "train" else 1.5))
        for variant, change in (
            *(("none", -8), ("pytorch", -1.5), ("autoaugment", -4)),
            *(("augmix", -1.2), ("pixmix", -1)),
        )
        for name in ("train", "g2.0")
    ],
    "stylised": [("stylised", "train-stylised", -9), ("stylised", "g2.0-stylised", -14)],
    "oracle": [("oracle", "oracle", 3.5)],
    "supervision": [("embeddings", "g2.0", 1.4), ("both", "g2.0", 0.7)],
    "sources": [],
}


@dataclass(frozen=True)
class Plan:
    """What a fake recipe ran and how good it was (percent of test images)."""

    recipe: str = "digits"
    num_images: int = 120
    num_train: int = 600
    seeds: tuple[int, ...] = (0, 1, 2)
    student: str = "resnet10t"
    grid: Grid = field(
        default_factory=lambda: Grid(
            rivals=("dit",),
            synthetic_sets=("g1.0", "g2.0", "g7.5", "g2.0-definition", "dit-g2.0"),
            sets=("train", "corpus", "g1.0", "g2.0", "g7.5"),
            depths=(1, 2, 3, 4, 5),
            control_depths=(2, 4),
            fractions=(1, 2, 4, 8),
            ablations=(
                *("normalisation", "augmentation", "stylised", "oracle", "supervision", "sources"),
            ),
            clones=("g2.0", "g2.0-definition", "dit-g2.0"),
            references=("tutor", "twin"),
            guides=("zero-shot", "low-shot"),
        )
    )
    sets: dict[str, float] = field(
        default_factory=lambda: {
            "train": 98.0, "corpus": 97.0, "g1.0": 93.0, "g2.0": 92.0, "g7.5": 80.0,
            "g2.0-definition": 94.0, "dit-g2.0": 70.0,
        }
    )  # fmt: skip


def write_cells(root: Path, plan: Plan) -> Artifacts:
    """Write every cell of the plan's grid under `root`."""
    artifacts = Artifacts(root, plan.recipe)
    writer = _Writer(artifacts, plan)
    for name in plan.grid.sets:
        writer.train(name)
    for depth in plan.grid.depths:
        writer.transfer("transfer", depth, ("synthetic->real", "real->synthetic"))
    for depth in plan.grid.control_depths:
        writer.transfer("control", depth, ("real->real", "synthetic->synthetic"))
    for denominator in plan.grid.fractions:
        writer.reduce(denominator)
    for name in plan.grid.ablations:
        writer.ablate(name)
    for name in plan.grid.clones:
        writer.clone(name)
    return artifacts


def write_cell(
    artifacts: Artifacts, plan: Plan, experiment: str, coordinates: tuple, runs: list
) -> None:
    """Write one cell; each of its runs is (place, top-1), of `seeds` in its place or the plan's."""
    _Writer(artifacts, plan).cell(experiment, coordinates, runs)


def write_image_set(
    folder: Path, *, kind: str, classes=("0", "1", "2"), per_class=6, size_px=12, **about
):
    """Write a set of flat noisy tiles, brighter by class."""
    rng = np.random.default_rng(len(folder.name))
    columns: dict[str, list] = {"path": [], "label": [], "sha256": []}
    for label, name in enumerate(classes):
        for index in range(per_class):
            tile = np.clip(60 + 50 * label + rng.integers(-30, 30, (size_px, size_px, 3)), 0, 255)
            path = f"{name}/{index:04d}.png"
            columns["sha256"].append(write_png(folder / path, tile.astype(np.uint8)))
            columns["path"].append(path)
            columns["label"].append(label)
    write_manifest(folder, kind=kind, classes=classes, columns=columns, about=about)


class _Writer:
    def __init__(self, artifacts: Artifacts, plan: Plan) -> None:
        self.artifacts, self.plan = artifacts, plan
        self.difficulty = np.random.default_rng(5).permutation(plan.num_images)

    def train(self, name: str) -> None:
        source = {"train": "real", "corpus": "corpus"}.get(name, "synthetic")
        labels = {"corpus": (0, 0, 700), "train": (0, 0, self.plan.num_train)}
        place = {
            "set": name,
            "source": source,
            "guidance_scale": float(name[1:]) if source == "synthetic" else None,
            "real_labels": _labels(*labels.get(name, (700, 0, 0))),
        }
        self.cell("train", (name,), [(place, self.plan.sets[name])])

    def clone(self, name: str) -> None:
        """The whole set, but of g2.0, which `train` has, two parts."""
        place = {
            "set": name,
            "source": "synthetic",
            "guidance_scale": 2.0,
            "real_labels": _labels(700, 0, 0),
        }
        shares = (0.0625, 0.25) if name == "g2.0" else (1.0,)
        num_train, score = self.plan.num_train, self.plan.sets[name]
        runs = [
            ({**place, "fraction": share, "num_images": round(share * num_train)},
             score + 4 * np.log2(share))
            for share in shares
        ]  # fmt: skip
        self.cell("clone", (name,), runs)

    def transfer(self, experiment: str, depth: int, directions: tuple[str, ...]) -> None:
        real, synthetic = self.plan.sets["train"], self.plan.sets["g2.0"]
        share = depth / len(UNITS)
        score = {
            "synthetic->real": real - (real - synthetic) * share**2,
            "real->synthetic": synthetic + (real - synthetic) * share,
            "real->real": real - share / 2,
            "synthetic->synthetic": synthetic - share / 2,
        }
        runs = []
        for direction in directions:
            donor, student = (side == "real" for side in direction.split("->"))
            count = self.plan.num_train
            place = {
                "set": "train" if student else "g2.0",
                "source": "real" if student else "synthetic",
                "donor_set": "train" if donor else "g2.0",
                "direction": direction,
                "depth": depth,
                "guidance_scale": None if direction == "real->real" else 2.0,
                "real_labels": _labels(
                    0 if direction == "real->real" else 700, count * donor, count * student
                ),
            }
            runs.append((place, score[direction]))
        self.cell(experiment, (depth,), runs)

    def reduce(self, denominator: int) -> None:
        halvings = np.log2(denominator)
        runs = [
            (self._reduced("scratch", denominator), self.plan.sets["train"] - 1.2 * halvings**2),
            (self._reduced("finetune", denominator), self.plan.sets["train"] - 1.3 * halvings),
            (self._reduced("prefix", denominator) | {"depth": 4}, 96.0 - 1.5 * halvings),
        ]
        self.cell("reduce", (denominator,), runs)

    def ablate(self, name: str) -> None:
        runs = []
        for variant, image_set, change in ABLATED[name]:
            synthetic = image_set.startswith("g") or image_set == "oracle"
            base = self.plan.sets["g2.0" if synthetic else "train"]
            place = {
                "set": image_set,
                "source": "synthetic" if synthetic else "real",
                "ablation": name,
                "variant": variant,
                "guidance_scale": 2.0 if synthetic else None,
                "real_labels": _labels(
                    700 if synthetic else 0, 0, 0 if synthetic else self.plan.num_train
                ),
            }
            runs.append((place, base + change))
        self.cell("ablate", (name,), runs + (self._sources() if name == "sources" else []))

    def _sources(self) -> list:
        mix = {
            "set": "train+g2.0", "source": "mixed", "guidance_scale": 2.0, "ablation": "sources",
            "variant": "mixed 0.5", "real_labels": _labels(700, 0, self.plan.num_train),
        }  # fmt: skip
        tail = {"donor_set": "g2.0", "direction": "synthetic->mixed", "depth": 4}
        subsets = [
            self._reduced("prefix", 8) | {"depth": 4, "ablation": "sources", "variant": kind}
            for kind in ("stratified", "random", "uncertainty", "coreset")
        ]
        tops = (91.5, 91.0, 90.0, 92.0)
        return [(mix, 97.0), (mix | tail, 95.5), *zip(subsets, tops, strict=True)]

    def _reduced(self, arm: str, denominator: int) -> dict:
        scratch = arm == "scratch"
        return {
            "set": "train",
            "source": "real",
            "donor_set": None if scratch else "g2.0",
            "direction": None if scratch else "synthetic->real",
            "arm": arm,
            "depth": 0,
            "fraction": 1 / denominator,
            "guidance_scale": None if scratch else 2.0,
            "num_images": round(self.plan.num_train / denominator),
            "real_labels": _labels(
                0 if scratch else 700, 0, round(self.plan.num_train / denominator)
            ),
        }

    def _about(self, experiment: str) -> dict:
        names = {"recipe": self.plan.recipe, "student": self.plan.student}
        return {"experiment": experiment, **names}

    def cell(self, experiment: str, coordinates: tuple, runs: list) -> None:
        folder = self.artifacts.cell(experiment, *coordinates)
        written, tables = [], []
        for given, top1 in runs:
            place = self._about(experiment) | given
            for seed in place.pop("seeds", self.plan.seeds):
                run, rows = made_up_run(place | {"seed": seed}, top1, self.difficulty)
                written.append(run)
                tables.append(rows)
        about = {
            "schema": 1,
            "experiment": experiment,
            "recipe": self.plan.recipe,
            "inputs": {f"artifacts/sets/{self.plan.recipe}/test": "d" * 64},
            "environment": {"torch": "2.9.0", "processor": "Fake CPU (avx2)", "threads": 1},
            "params": {"seed": 1, "training": TRAINING},
            "units": [{"name": name, "num_parameters": 9, "modules": [name]} for name in UNITS],
            "runs": written,
        }
        pd.concat(tables).to_parquet(_made(folder) / "predictions.parquet", index=False)
        write_json(folder / "run.json", about)


def without(plan: Plan, **grid: tuple) -> Plan:
    """Return the plan with other lists in its grid."""
    return replace(plan, grid=replace(plan.grid, **grid))


def _labels(generator: int, donor: int, student: int) -> dict[str, int]:
    return {"generator": generator, "donor": donor, "student": student}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder

"""What stage `fidelity` leaves behind, with invented numbers; for tests only."""

from __future__ import annotations

from typing import Any

import numpy as np
from made_up_cells import Plan

from synthgap.data import write_png
from synthgap.jobs import Artifacts, write_json

CLASSES = ("0", "1", "2")
SETS = {"g1.0": 0.9, "g2.0": 0.8, "g7.5": 0.6}  # how good each is


def write_fidelity(artifacts: Artifacts, plan: Plan) -> None:
    """Numbers that fall with the guidance scale, class 1 the worst of each set; noise as sheets."""
    folder = artifacts.stage("fidelity")
    rng = np.random.default_rng(3)
    sets = {}
    for name, good in SETS.items():
        sheets = {kind: f"{kind}-{name}.png" for kind in ("neighbours", "worst")}
        for sheet in sheets.values():
            write_png(folder / sheet, rng.integers(0, 255, (40, 90, 3), dtype=np.uint8))
        classes = {key: diseases(good - 0.2 * (key == "1")) for key in CLASSES}
        worst = [{"class": key, "prompts": [f"a <{key}> | of {name}"]} for key in ("1", "0", "2")]
        sets[name] = {
            "digest": "e" * 64, "num_images": 600, "num_seen": 600, "metrics": metrics(good),
            "classes": classes, "worst": worst, "sheets": sheets,
        }  # fmt: skip
    sets["g7.5"]["metrics"] |= {"clip_score": None, "authenticity": None}
    real = {
        "what": "corpus against train", "num_images": 600, "num_against": 600,
        "agreement_of": "train", "metrics": metrics(0.98),
        "classes": {key: diseases(0.97) for key in CLASSES},
    }  # fmt: skip
    content = {
        "schema": 1, "recipe": plan.recipe, "order": list(SETS), "classes": list(CLASSES),
        "feature_network": {"kind": "judge", "name": "the judge, trained on corpus"},
        "judge": {"learned_from": "corpus", "real_labels": 700},
        "real": real, "sets": sets,
    }  # fmt: skip
    write_json(folder / "fidelity.json", content)


def metrics(good: float) -> dict[str, Any]:
    """A set's, the better the nearer to 1."""
    return {
        "fid": 40 * (1 - good), "kid": 0.05 * (1 - good), "kid_std": 0.004, "precision": good,
        "recall": good, "density": good, "coverage": good, "vendi": 12 * good, "vendi_real": 11.8,
        "agreement": good, "confidence": good, "separability": 50 + 50 * (1 - good),
        "diversity": good, "authenticity": good / 2, "clip_score": good / 2,
        "clip_score_real": 0.4,
    }  # fmt: skip


def diseases(good: float) -> dict[str, Any]:
    """A class's, the better the nearer to 1."""
    return {
        "num_images": 60, "agreement": good, "confidence": good, "taken_for": [["2", 1 - good]],
        "separability": 50 + 50 * (1 - good), "diversity": good, "vendi": 2 * good,
        "vendi_real": 2.0,
    }  # fmt: skip

"""Runs as the experiments record them, with invented numbers; for tests only."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pandas as pd

from synthgap.params.sections import SetName

EPOCHS = 4
LAST = 2


def made_up_run(place: dict, top1: float, difficulty: np.ndarray) -> tuple[dict, pd.DataFrame]:
    """A RUN record and its predictions; `difficulty` (num_images,) ranks the test images."""
    empty = dict.fromkeys(
        ("donor_set", "direction", "arm", "depth", "guidance_scale", "ablation", "variant",
         "protocol", "method", "init")
    )  # fmt: skip
    probed = place["experiment"] in ("train", "reduce", "clone")
    run = {
        **empty, "fraction": 1.0, "num_images": 600, **_setting(place["set"]), **place,
        "num_steps": 9, "peak_lr": 0.02, "probe_labels": 600 if probed else None,
    }  # fmt: skip
    run["name"] = " ".join(
        str(run[key]) for key in ("direction", "set", "depth", "variant", "method", "seed")
    )
    run["digest"] = sha256(repr(sorted(run.items())).encode()).hexdigest()
    rng = np.random.default_rng(int(run["digest"][:8], 16))
    noise = rng.normal(0, len(difficulty) / 30, (LAST, len(difficulty)))
    wanted = np.clip(top1 + rng.normal(0, 0.3, (LAST, 1)), 0, 100) / 100
    hard = np.argsort(np.argsort(difficulty + noise, axis=1), axis=1)
    right = hard < wanted * len(difficulty)
    epochs = [
        {"epoch": EPOCHS - LAST + 1 + index, "test/top1": 100 * float(row.mean())}
        for index, row in enumerate(right)
    ]
    values = np.asarray([epoch["test/top1"] for epoch in epochs])
    run["epochs"] = epochs
    run["last"] = {
        metric: {
            "mean": float(f(values).mean()), "std": float(f(values).std()),
            "n": LAST, "over": "epochs",
        }
        for metric, f in {
            "test/top1": lambda v: v, "val/top1": lambda v: v - 0.5,
            "test/balanced": lambda v: v - 0.1, "test/top5": lambda v: np.minimum(v + 9, 100),
            "test/loss": lambda v: (100 - v) / 25,
        }.items()
    }  # fmt: skip
    rows = pd.DataFrame(
        {
            "run": run["digest"], "seed": place["seed"],
            "image": [f"{index % 3}/{index:04d}.png" for index in range(len(right[0]))],
            "label": 0, "prediction": 0, "confidence": 0.5, "correct": right.mean(axis=0),
            "probe": pd.array([None] * len(right[0]), dtype="Int64"),
        }
    )  # fmt: skip
    if probed:
        known = hard[0] < min(wanted[0, 0] + 0.02, 1.0) * len(difficulty)
        rows["probe"] = pd.array(1 - known.astype(int), dtype="Int64")
        mean = 100 * float(known.mean())
        run["last"]["probe/top1"] = {"mean": mean, "std": 0.0, "n": 1, "over": "epochs"}
    return run, rows


def _setting(name: str) -> dict[str, object]:
    made = SetName.parse(name.removesuffix("-stylised"))
    if made is None:
        return dict.fromkeys(("generator", "scheme", "steps"))
    scheme = None if made.rival else made.scheme or "template"
    return {"generator": made.rival or "main", "scheme": scheme, "steps": 25}

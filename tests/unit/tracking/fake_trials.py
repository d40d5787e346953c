"""A study's run.json as the command or the stage writes it: no training, equal every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fake_cells import ENVIRONMENT, RECIPE, STUDENT, TRAINING, hexed, inputs_of

SCALE, LAMBDA, RATE = "guide.image_set.guidance_scale", "guide.rg.lambda_1", "training.batch_size"
LABELS = {"generator": 700, "reference": 0, "student": 50}
PARAMS = {"student": STUDENT, "training": TRAINING}


def trial(slot: int, state: str = "complete", **more: Any) -> dict[str, Any]:
    """One row; `top1` is its accuracy."""
    study, top1 = more.pop("study", "joint"), float(more.pop("top1", 90.0 + slot % 5))
    kind = more.pop("kind", "search" if slot else "default")
    suffix = f" s{more['seed']}" if kind == "final" else ""
    row = {
        "digest": hexed(f"{study} {slot} {kind} {more.get('seed', 0)} {more.pop('version', 1)}"),
        "plan": hexed(f"plan of {study}"),
        "experiment": "tune",
        "recipe": RECIPE,
        "study": study,
        "student": "resnet10t",
        "name": f"{study} t{slot:02d}{suffix}",
        "trial": slot,
        "kind": kind,
        "objectives": ["val/top1"],
        "tuned": {SCALE: 2.0, LAMBDA: 0.05 * slot, RATE: 64},
        "seed": 0,
        "seeds": [0],
        "protocol": "low-shot",
        "method": "rg-pg",
        "set": "g2.0",
        "source": "mixed",
        "init": "random",
        "guidance_scale": 2.0,
        "state": state,
        "reason": None,
        "retries": 0,
        "values": {"val/top1": top1},
        "share": 1.0,
        "num_images": 650,
        "num_steps": 90,
        "real_labels": LABELS,
        "feasible": state == "complete",
        "epochs": [
            {"epoch": k, "train/loss": 2.0 / k, "val/top1": top1 - 12 / k, "val/loss": 1.5 / k}
            for k in range(1, 4)
        ],
        "last": {"val/top1": {"mean": top1, "std": 0.5, "n": 2, "over": "seeds"}},
    }
    if state != "complete":
        row |= {"last": {}, "share": 0.5}
    if state == "failed":
        row |= {"values": {}, "reason": "loss is nan at step 7"}
    return row | more


def study_of(rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """What the rows say together, as far as MLflow shows it."""
    searched = [row["state"] for row in rows if row["kind"] != "final"]
    counts = {state: searched.count(state) for state in ("complete", "pruned", "failed")}
    return {
        "name": rows[0]["study"],
        "method": "rg-pg",
        "protocol": "low-shot",
        "objectives": [{"metric": "val/top1", "direction": "maximize"}],
        "trials": 30,
        "counts": {**counts, "open": 30 - len(searched)},
        "labels": {"objective": 300, **LABELS},
        "data_free": False,
        "best": 4,
        "pareto": [],
        "winner": {"trial": 4, "tuned": {SCALE: 2.0, LAMBDA: 0.2}},
        "verdict": None,
        **more,
    }


def verdict_of(gain: float) -> dict[str, Any]:
    return {
        "seeds": [20, 21],
        "difference": {"mean": gain, "low": gain - 1, "high": gain + 1},
        "winner_top1": {"mean": 95.0 + gain},
        "default_top1": {"mean": 95.0},
    }


def write_study(root: Path, rows: list[dict[str, Any]], **more: Any) -> Path:
    """Write run.json of a study where its maker does; return its folder."""
    name = rows[0]["study"]
    folder = root / "mlruns" / "studies" / RECIPE / name
    if name == "tune":
        folder = root / "artifacts" / "tune" / RECIPE
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "schema": 1,
        "experiment": "tune",
        "recipe": RECIPE,
        "inputs": inputs_of(),
        "environment": ENVIRONMENT,
        "params": {"seed": 1, **PARAMS, "study": {"trials": 30}},
        "runs": rows,
        "study": study_of(rows, **more),
    }
    (folder / "run.json").write_text(json.dumps(content))
    return folder


def log_trial(log: Any, row: dict[str, Any], *, status: str = "FINISHED") -> None:
    """Log a trial as `experiments/studies/rows.teller` does."""
    late = (
        *("state", "reason", "retries", "values", "share", "num_images", "num_steps"),
        *("real_labels", "feasible", "epochs", "last"),
    )
    head = {name: value for name, value in row.items() if name not in late}
    ended = {name: value for name, value in row.items() if name != "epochs"}
    log(row["digest"], {"event": "start", "run": head, "inputs": inputs_of(), "params": PARAMS})
    for epoch in row["epochs"]:
        log(row["digest"], {"event": "epoch", "metrics": epoch})
    log(row["digest"], {"event": "end", "status": status, "run": ended})

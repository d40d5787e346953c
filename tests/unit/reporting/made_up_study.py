"""A study's run.json as stage `tune` writes it, with invented numbers; for tests only."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random

SCALE, AUGMENTATION = "guide.image_set.guidance_scale", "guide.augmentation"
LAMBDA, LAMBDA_3, RATE = "guide.rg.lambda_1", "guide.pg.lambda_3.kl", "training.base_lr"
SPACE = {
    SCALE: [1.0, 2.0, 7.5],
    AUGMENTATION: ["none", "pytorch", "dino"],
    LAMBDA: {"low": 0.05, "high": 0.95, "step": 0.05, "log": False},
    "guide.pg.similarity": ["l1", "kl"],
    LAMBDA_3: {"low": 0.3, "high": 3.0, "step": None, "log": True},
    RATE: {"low": 0.5, "high": 4.0, "step": None, "log": True},
}
DEFAULT = {
    SCALE: 2.0, AUGMENTATION: "pytorch", LAMBDA: 0.25, "guide.pg.similarity": "kl",
    LAMBDA_3: 1.0, RATE: 2.0,
}  # fmt: skip
WORTH = {(SCALE, 1.0): 1.0, (SCALE, 7.5): -4.0, (AUGMENTATION, "none"): -3.0,
         (AUGMENTATION, "dino"): 2.2, ("guide.pg.similarity", "l1"): -0.8}  # fmt: skip
SMALLER = ("val/loss", "val/ece", "real_labels")
STEPS, NUM_VAL, NUM_TEST = 240, 90, 300


@dataclass(frozen=True)
class Made:
    """What of a study is invented otherwise than for the plain one."""

    name: str = "tune"
    trials: int = 40
    ended: int = 40
    seeds: tuple[int, ...] = (0,)
    objectives: tuple[str, ...] = ("val/top1",)
    watched: tuple[str, ...] = ("holdout", "agreement", "clip_score")
    gridded: bool = True
    finished: bool = True  # finals and verdict are there
    failing: bool = False  # every trial fails
    extra: dict = field(default_factory=dict)  # more keys and their defaults


def study_run(made: Made = Made()) -> dict:
    """run.json of a study: all kinds of trials, of which some are pruned, some fail."""
    random = Random(made.name)  # noqa: S311 - invented numbers, not secrets
    space = SPACE | {key: each[0] for key, each in made.extra.items()}
    default = DEFAULT | {key: each[1] for key, each in made.extra.items()}
    starts = list(_starts(made, default))
    runs = []
    for slot in range(made.ended):
        kind, tuned = starts[slot] if slot < len(starts) else ("search", _drawn(random, space))
        runs.append(_trial(made, slot, kind, tuned, random))
    study = _study(made, space, default, runs)
    return {
        "schema": 1, "experiment": "tune", "recipe": "digits",
        "inputs": {f"artifacts/data/digits/{part}": "ab" * 32 for part in ("train", "val")},
        "environment": {"cpu": "made up", "threads": 2, "torch": "2.15.0"},
        "params": {"seed": 1, "student": {"model": "resnet10t"}, "training": {}, "tune": {}},
        "runs": [*runs, *_final_runs(made, study)], "study": study,
    }  # fmt: skip


def write_study(path, made: Made = Made()):
    """Write it as JSON; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(study_run(made)))
    return path


def _starts(made, default):
    yield "default", dict(default)
    if made.gridded:
        for scale in SPACE[SCALE]:
            for augmentation in SPACE[AUGMENTATION]:
                if (scale, augmentation) != (default[SCALE], default[AUGMENTATION]):
                    yield "grid", {**default, SCALE: scale, AUGMENTATION: augmentation}
    yield "first", {**default, LAMBDA: 0.5}


def _drawn(random, space):
    return {key: _draw(random, section) for key, section in space.items()}


def _draw(random, section):
    if isinstance(section, list):
        return random.choice(section)
    low, high = section["low"], section["high"]
    if section["log"]:
        return low * (high / low) ** random.random()
    return round(random.uniform(low, high), 2)


def _top1(tuned, random):
    worth = 85.0 + sum(WORTH.get(item, 0.0) for item in tuned.items())
    worth -= 9 * (tuned[LAMBDA] - 0.4) ** 2 + 1.1 * (tuned[RATE] - 1.6) ** 2
    return worth + random.gauss(0, 0.6)


def _values(made, tuned, random):
    labels = 20 * round(1 + tuned[LAMBDA] * 10)
    top1 = _top1(tuned, random) + (0.05 * labels if "real_labels" in made.objectives else 0.0)
    every = {
        "val/top1": top1, "val/balanced": top1 - 0.3, "val/loss": 1.2 - top1 / 100,
        "val/ece": 2 + 4 * random.random(), "holdout": 0.6 * top1 + 40 + random.gauss(0, 0.9),
        "agreement": 70 + 12 * random.random(), "clip_score": 0.3 - 0.002 * tuned[SCALE],
        "real_labels": labels,
    }  # fmt: skip
    return {name: every[name] for name in (*made.objectives, *made.watched)}


def _trial(made, slot, kind, tuned, random):
    values = _values(made, tuned, random)
    pruned = kind == "search" and len(made.objectives) == 1 and random.random() < 0.35
    failed = made.failing or slot == 17
    state = "failed" if failed else "pruned" if pruned else "complete"
    at = values.get("val/top1", 80.0) - (4 if pruned else 0)
    num_epochs = {"failed": 1, "pruned": 3}.get(state, 8)
    row = {
        "digest": f"{slot:064x}", "experiment": "tune", "recipe": "digits", "study": made.name,
        "student": "resnet10t", "name": f"{made.name} t{slot:02d}", "trial": slot, "kind": kind,
        "state": state, "reason": "the loss is not finite after epoch 1 <b>" if failed else None,
        "retries": int(slot == 20), "tuned": tuned, "values": values if state == "complete" else {},
        "seed": made.seeds[0], "seeds": list(made.seeds), "protocol": "low-shot",
        "method": "rg-pg", "set": f"g{tuned[SCALE]}", "source": "mixed",
        "share": 0.5 if pruned else 1.0, "num_images": 650,
        "num_steps": STEPS * num_epochs // 8 * len(made.seeds),
        "feasible": slot != 22, "real_labels": {"generator": 700, "reference": 0, "student": 50},
        "epochs": [
            {"epoch": k, "val/top1": at - 6 / k, "val/loss": 1 / k, "train/loss": 0.9 / k}
            for k in range(1, num_epochs + 1)
        ] if not failed else [],
    }  # fmt: skip
    if state == "complete":
        std = 0.0 if len(made.seeds) == 1 else 0.4
        row["last"] = {
            name: {"mean": each, "std": std, "n": len(made.seeds), "over": "seeds"}
            for name, each in values.items()
        }
    return row


def _study(made, space, default, runs):
    complete = [row for row in runs if row["state"] == "complete"]
    able = [row for row in complete if row["feasible"]]
    first = made.objectives[0]
    sign = 1 if first in SMALLER else -1
    ranked = sorted(able, key=lambda row: sign * row["values"][first])
    several = len(made.objectives) > 1
    ended = made.finished and ranked
    finals = _finals(made, ranked, default) if ended else []
    return {
        "name": made.name, "method": "rg-pg", "protocol": "low-shot", "plan": "ef" * 32,
        "objectives": [
            {"metric": name, "direction": "minimize" if name in SMALLER else "maximize"}
            for name in made.objectives
        ],
        "space": space, "default": default, "trials": made.trials,
        "counts": {
            state: sum(row["state"] == state for row in runs)
            for state in ("complete", "pruned", "failed")
        },
        "num_steps": sum(row["num_steps"] for row in runs),
        "full_steps": STEPS * len(runs) * len(made.seeds),
        "labels": {
            "objective": NUM_VAL if any(name.startswith("val/") for name in made.objectives) else 0,
            "generator": 700, "reference": 0, "student": 50,
        },
        "data_free": False,
        "best": ranked[0]["trial"] if ranked and not several else None,
        "pareto": _pareto(made, able) if several else [],
        "importances": _importances(space) if len(complete) >= 8 else None,
        "correlations": {
            name: {"spearman": _spearman(complete, name), "n": len(complete)}
            for name in (*made.objectives, *made.watched) if name != "val/top1"
        },
        "grid": _grid(made, runs, default) if made.gridded else None,
        "finals": finals,
        "winner": {name: finals[0][name] for name in ("trial", "tuned")} if ended else None,
        "verdict": _verdict() if ended else None,
    }  # fmt: skip


def _importances(space):
    shares = [1 / (2 + rank) ** 1.3 for rank in range(len(space))]
    return {key: share / sum(shares) for key, share in zip(space, shares, strict=True)}


def _pareto(made, rows):
    def losses(row):
        return [(1 if name in SMALLER else -1) * row["values"][name] for name in made.objectives]

    return [
        row["trial"] for row in rows
        if not any(
            losses(other) != losses(row)
            and all(a <= b for a, b in zip(losses(other), losses(row), strict=True))
            for other in rows
        )
    ]  # fmt: skip


def _spearman(rows, name):
    pairs = [(row["values"].get(name), row["values"].get("val/top1")) for row in rows]
    if len(pairs) < 3 or None in (part for pair in pairs for part in pair):
        return None
    first, second = (
        [sorted(column).index(each) for each in column] for column in zip(*pairs, strict=True)
    )
    n = len(pairs)
    return 1 - 6 * sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) / (n**3 - n)


def _grid(made, runs, default):
    scales, augmentations = SPACE[SCALE], SPACE[AUGMENTATION]
    metric = "val/top1" if "val/top1" in (*made.objectives, *made.watched) else made.objectives[0]
    found = {
        (row["tuned"][SCALE], row["tuned"][AUGMENTATION]): row["values"][metric]
        for row in runs if row["kind"] in ("default", "grid") and row["state"] == "complete"
    }  # fmt: skip
    base = found.get((default[SCALE], default[AUGMENTATION]))

    def alone(pairs, place):
        best = max((pair for pair in pairs if pair in found), key=found.get, default=None)
        if best is None or base is None:
            return None
        return {"value": best[place], "score": found[best], "gain": found[best] - base}

    by_key = {
        SCALE: alone([(one, default[AUGMENTATION]) for one in scales], 0),
        AUGMENTATION: alone([(default[SCALE], one) for one in augmentations], 1),
    }
    joint = max(found, key=found.get, default=None)
    gains = [each["gain"] for each in by_key.values() if each]
    std = 0.4 if len(made.seeds) > 1 else None
    return {
        "keys": [SCALE, AUGMENTATION], "metric": metric, "values": [scales, augmentations],
        "cells": [[found.get((a, b)) for b in augmentations] for a in scales],
        "stds": [[std if (a, b) in found else None for b in augmentations] for a in scales],
        "default": [scales.index(default[SCALE]), augmentations.index(default[AUGMENTATION])],
        "alone": by_key, "predicted": base + sum(gains) if len(gains) == 2 else None,
        "joint": {"values": list(joint), "score": found[joint]} if joint else None,
    }  # fmt: skip


def _finals(made, ranked, default):
    rows = [(row["trial"], row["tuned"], 88.4 - k / 2) for k, row in enumerate(ranked[:3])]
    return [
        {"trial": trial, "tuned": tuned, "metric": made.objectives[0],
         "score": {"mean": mean, "std": 0.3, "n": 2, "over": "seeds"},
         "val": {"mean": mean, "std": 0.3, "n": 2, "over": "seeds"}}
        for trial, tuned, mean in [*rows, ("default", default, 86.0)]
    ]  # fmt: skip


def _final_runs(made, study):
    return [
        {"trial": 0 if each["trial"] == "default" else each["trial"], "kind": "final",
         "state": "complete", "tuned": each["tuned"], "study": made.name, "seed": seed,
         "seeds": [seed], "values": {"val/top1": each["val"]["mean"]}, "epochs": []}
        for each in study["finals"] for seed in (10, 11)
    ]  # fmt: skip


def _verdict():
    winner, default = [88.9, 87.6, 88.3, 88.7], [86.9, 87.0, 86.2, 86.6]
    return {
        "seeds": [20, 21, 22, 23], "winner": winner, "default": default,
        "difference": {"mean": 1.7, "low": 0.8, "high": 2.6, "confidence": 0.95, "n": 4,
                       "over": "seeds"},
        "winner_top1": {"mean": 88.375, "std": 0.5, "n": 4, "over": "seeds"},
        "default_top1": {"mean": 86.675, "std": 0.31, "n": 4, "over": "seeds"},
        "num_test_images": NUM_TEST,
    }  # fmt: skip

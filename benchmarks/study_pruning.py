"""Pruning and nested subsets against plain search, in optimiser steps: guidance and augmentation.

Both sides search the same space with the same sampler, in turns. A side's incumbent is its best
finished trial on val; each incumbent is trained again with three fresh seeds, which cost neither
side anything. The target is what the plain search ends with, less one standard error of those
three; counted are the steps until a side's incumbent first reaches it. A side that never does
counts with the plain search's whole budget.

    python benchmarks/study_pruning.py CHECKOUT [--repeats 5] [--trials 24]

CHECKOUT is a checkout in which `dvc repro tune` has run; sets that are missing are sampled there.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synthgap.jobs import Artifacts, environment, write_json
from synthgap.params import read_params
from synthgap.params.sections import Study
from synthgap.params.studies import Finals, SearchInterval
from synthgap.studies.trials.attempt import StudentAttempt
from synthgap.studies.trials.plan import StudyPlan
from synthgap.studies.trials.sequential import search

FRESH = (101, 102, 103)
TARGET = 0.5
SPACE: Mapping[str, Any] = {
    "guide.image_set.guidance_scale": SearchInterval(1.0, 7.5, 0.5, log=False),
    "guide.augmentation": ("none", "pytorch", "autoaugment", "dino"),
    "training.global_crops.scale.0": SearchInterval(0.4, 1.0, 0.05, log=False),
    "training.global_crops.flip": SearchInterval(0.0, 0.5, 0.1, log=False),
}
PLAIN = Study(
    protocol="low-shot",
    method="pooled",
    objectives=("val/top1",),
    watched=(),
    constraints={},
    sampler="tpe",
    pruner="none",
    trials=24,
    seeds=(0,),
    shares=(1.0,),
    first=(),
    grid=(),
    space=dict(SPACE),
    finals=Finals(1, FRESH, (201, 202)),
)


@dataclass(frozen=True)
class Found:
    """A side's incumbent from some number of steps on."""

    num_steps: int
    tuned: Mapping[str, Any]
    val: float


class Side:
    """One search of one repeat."""

    def __init__(self, name: str, study: Study, checkout: Path) -> None:
        params = read_params(checkout / "params.yaml")
        self.plan = StudyPlan(name, study, params)
        self.attempt = StudentAttempt.open(self.plan, Artifacts(checkout, params.recipe))

    def incumbents(self) -> tuple[list[Found], int]:
        """Every incumbent in order, and the steps of the whole search."""
        found: list[Found] = []
        total = 0
        with tempfile.TemporaryDirectory() as folder:
            trials = search(self.plan, self.attempt, Path(folder) / "trials", lambda _: None)
        for trial in trials:
            report = trial.user_attrs["told"]
            total += report["num_steps"]
            value = report["values"].get("val/top1")
            best = found[-1].val if found else float("-inf")
            if report["state"] == "complete" and value > best:
                found.append(Found(total, report["tuned"], value))
        return found, total

    def again(self, found: Found) -> list[float]:
        """Accuracy on val of each fresh seed."""
        scores = []
        for seed in FRESH:
            *_, last = self.attempt(found.tuned, seed=seed, share=1.0)
            scores.append(last.metrics["val/top1"])
        return scores


def repeat(number: int, given: argparse.Namespace) -> dict[str, Any]:
    """Both sides once."""
    plain = replace(PLAIN, trials=given.trials, seeds=(number,))
    trials = given.trials * 3 // 2  # more than the budget of steps has room for
    thrifty = replace(plain, pruner=given.pruner, shares=tuple(given.shares), trials=trials)
    order = [("plain", plain), ("pruned", thrifty)]
    sides = {name: Side(f"{name}-{number}", study, given.checkout) for name, study in order}
    searched = {name: side.incumbents() for name, side in sides.items()}
    found, budget = searched["plain"]
    final = sides["plain"].again(found[-1])
    error = statistics.stdev(final) / len(final) ** 0.5
    goal = statistics.fmean(final) - error
    row: dict[str, Any] = {"repeat": number, "budget": budget, "goal": goal, "final": final}
    for name, side in sides.items():
        incumbents, total = searched[name]
        scores = [statistics.fmean(side.again(one)) for one in incumbents]
        hits = [one.num_steps for one, s in zip(incumbents, scores, strict=True) if s >= goal]
        reached = min([*hits[:1], budget])
        row[name] = {
            "steps_to_goal": reached,
            "reached": bool(hits) and hits[0] <= budget,
            "total": total,
            "incumbents": [[one.num_steps, one.val] for one in incumbents],
            "again": scores,
        }
    row["of_budget"] = row["pruned"]["steps_to_goal"] / budget
    row["of_plain"] = row["pruned"]["steps_to_goal"] / row["plain"]["steps_to_goal"]
    sys.stdout.write(
        f"repeat {number}: goal {goal:.1f} % after {row['plain']['steps_to_goal']} plain steps of "
        f"{budget}, {row['pruned']['steps_to_goal']} pruned ones\n"
    )
    sys.stdout.flush()
    return row


def main() -> None:
    """Run every repeat and write the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--trials", type=int, default=PLAIN.trials)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--pruner", default="successive_halving")
    default = Path(__file__).parent / "results" / "study_pruning.json"
    parser.add_argument("--out", type=Path, default=default)
    given = parser.parse_args()
    rows = [repeat(number, given) for number in range(given.repeats)]
    ratios = {
        name: statistics.median(row[name] for row in rows) for name in ("of_budget", "of_plain")
    }
    met = ratios["of_budget"] <= TARGET
    report = "met" if met else "MISSED"
    sys.stdout.write(
        f"steps of pruning and subsets: {ratios['of_budget']:.2f} of the plain search's budget, "
        f"{ratios['of_plain']:.2f} of its own steps to the goal (medians of {len(rows)}), "
        f"target {TARGET:g}: {report}\n"
    )
    asked = {name: getattr(given, name) for name in ("trials", "shares", "pruner")}
    seen = environment(threads=1, device="cpu")
    write_json(
        given.out,
        {
            "benchmark": "study_pruning",
            "asked": asked,
            "median": ratios,
            "target": TARGET,
            "met": met,
            "repeats": rows,
            "environment": seen,
        },
    )


if __name__ == "__main__":
    main()

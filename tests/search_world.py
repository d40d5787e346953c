"""Studies whose trials are a rule instead of a training: equal values and seeds, equal readings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from synthgap.errors import SynthgapError
from synthgap.params import read_params
from synthgap.params.overriding import overridden
from synthgap.params.sections import Params
from synthgap.params.studies import Finals, SearchInterval, Study
from synthgap.studies.trials.plan import Attempt, AttemptReport, StudyPlan
from synthgap.studies.trials.rows import EventLogger
from synthgap.studies.trials.sequential import search

ROOT = Path(__file__).resolve().parents[1]
SCALE, AUGMENTATION = "guide.image_set.guidance_scale", "guide.augmentation"
LAMBDA, SIMILARITY = "guide.rg.lambda_1", "guide.pg.similarity"
EPOCHS = 6


@cache
def shipped() -> Params:
    """The shipped params.yaml, with short trainings."""
    params = read_params(ROOT / "recipes" / "digits.yaml")
    return overridden(params, {"guide.epochs": EPOCHS, "training.last_epochs": 2}, place="tests")


STUDY = Study(
    protocol="low-shot",
    method="rg-pg",
    objectives=("val/top1",),
    watched=("holdout", "clip_score"),
    constraints={},
    sampler="tpe",
    pruner="successive_halving",
    trials=20,
    seeds=(0,),
    shares=(0.5, 1.0),
    first=({LAMBDA: 0.5},),
    grid=(SCALE, AUGMENTATION),
    space={
        SCALE: (1.0, 2.0, 7.5),
        AUGMENTATION: ("none", "pytorch", "dino"),
        LAMBDA: SearchInterval(0.05, 0.95, 0.05, log=False),
        SIMILARITY: ("l1", "kl"),
        "guide.pg.distance": ("cosine", "l2"),
    },
    finals=Finals(2, (10, 11), (20, 21)),
)


def plan_of(**changed: Any) -> StudyPlan:
    """A small study, with some of its fields changed."""
    study = replace(STUDY, **changed)
    assert not list(study.problems())
    return StudyPlan("tune", study, shipped())


def ignore_event(event: Mapping[str, Any]) -> None:
    """An event logger that keeps nothing."""


SILENT: EventLogger = ignore_event


def rows_of_search(
    plan: StudyPlan,
    folder: Path,
    attempt: Attempt | None = None,
    *,
    name: str = "kept.jsonl",
    log_event: EventLogger = ignore_event,
) -> list[dict[str, Any]]:
    """The rows of all trials."""
    trials = search(plan, attempt or Rule(), folder / name, log_event)
    return [trial.user_attrs["told"] for trial in trials]


def text(rows: Any) -> str:
    """What would be written."""
    return json.dumps(rows, sort_keys=True, allow_nan=False)


class Rule:
    """An attempt that learns as a rule says; `calls` are those begun, with their steps."""

    def __init__(self, *, epochs: int = EPOCHS, stop_at: int | None = None) -> None:
        self.epochs, self.stop_at = epochs, stop_at
        self.calls: list[dict[str, Any]] = []

    def __call__(
        self, values: Mapping[str, object], *, seed: int, share: float
    ) -> Iterator[AttemptReport]:
        if len(self.calls) == self.stop_at:
            raise KilledError
        call = {"values": dict(values), "seed": seed, "share": share, "steps": 0}
        self.calls.append(call)
        best = self.best(values) + 0.3 * (seed % 3)
        for epoch in range(1, self.epochs + 1):
            call["steps"] = round(20 * share) * epoch
            reached = best * (1 - 0.5**epoch) * (0.9 + 0.1 * share)
            metrics = {"train/loss": 1 / epoch, "val/top1": reached, "val/loss": 2 - reached / 50}
            facts: dict[str, Any] = {}
            if epoch == self.epochs:
                metrics |= {"holdout": best / 2, "clip_score": 0.3, "real_labels": 50.0}
                labels = {"generator": 700, "reference": 0, "student": 50}
                facts = {"num_images": 650, "num_synthetic": 600, "real_labels": labels}
            yield AttemptReport(epoch, call["steps"], self.measured(metrics, values), facts)

    def best(self, values: Mapping[str, Any]) -> float:
        """Accuracy (percent) at the end."""
        gain = {"none": 0.0, "pytorch": 2.0, "dino": 1.0}.get(values.get(AUGMENTATION), 0.0)
        return 85.0 + gain - values.get(SCALE, 2.0) - 20 * (values.get(LAMBDA, 0.3) - 0.3) ** 2

    def measured(
        self,
        metrics: dict[str, float],
        values: Mapping[str, Any],
    ) -> dict[str, float]:
        """What a reading has."""
        return metrics


class KilledError(SynthgapError):
    """What no trial can mend."""

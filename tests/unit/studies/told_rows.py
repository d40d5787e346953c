"""Rows as trials record them, and a plan to go with them: no training, equal every time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from synthgap.errors import TrainingError
from synthgap.params import read_params
from synthgap.params.sections import Params
from synthgap.params.studies import Finals
from synthgap.studies.trials.budget import planned_trials
from synthgap.studies.trials.plan import AttemptReport, StudyPlan
from synthgap.studies.trials.rows import head

ROOT = Path(__file__).resolve().parents[3]
SCALE, AUGMENTATION, LAMBDA = (
    "guide.image_set.guidance_scale",
    "guide.augmentation",
    "guide.rg.lambda_1",
)
LABELS = {"generator": 700, "reference": 0, "student": 50}


@cache
def shipped() -> Params:
    """The shipped params.yaml."""
    return read_params(ROOT / "recipes" / "digits.yaml")


def plan_of(**changed: Any) -> StudyPlan:
    """The shipped study of stage `tune`, with some of its fields changed."""
    params = shipped()
    study = replace(params.tune.study, **changed)
    return StudyPlan("tune", study, params, {"artifacts/sets/digits/train": "1" * 64})


def small_plan(**changed: Any) -> StudyPlan:
    """One with short finals."""
    return plan_of(finals=Finals(2, (10, 11), (20, 21, 22)), **changed)


def fixed(plan: StudyPlan) -> list[tuple[str, dict[str, Any]]]:
    """Kind and values of every trial of the budget; drawn ones by a rule."""
    drawn = []
    for slot in planned_trials(plan):
        values = slot.values or {
            **plan.default,
            LAMBDA: round(0.05 + 0.05 * (7 * slot.number % 19), 2),
            "guide.pg.similarity": ("l1", "kl")[slot.number % 2],
        }
        drawn.append((slot.kind, values))
    return drawn


def goodness(tuned: Mapping[str, Any]) -> float:
    """Accuracy (percent) in a world where scale and augmentation help, and hinder each other."""
    gain = {1.0: 1.0, 2.0: 0.0, 7.5: -3.0}.get(tuned[SCALE], 0.0)
    gain += {"none": 0.0, "pytorch": 2.0, "dino": 1.0}[tuned[AUGMENTATION]]
    clash = 0.75 * (tuned[SCALE] == 1.0 and tuned[AUGMENTATION] == "pytorch")
    return 90 + gain - clash + 2 * tuned[LAMBDA]


def row(plan: StudyPlan, slot: int, **changed: Any) -> dict[str, Any]:
    """The complete trial of a slot; `changed` replaces some of its fields."""
    kind, tuned = fixed(plan)[slot]
    tuned = changed.pop("tuned", tuned)
    top1 = changed.pop("top1", goodness(tuned))
    values = {"val/top1": top1, "holdout": top1 / 2 + (slot % 3), "clip_score": 20.0 - slot}
    about = {
        **head(plan, slot, kind, tuned, seeds=plan.study.seeds),
        "state": "complete",
        "reason": None,
        "retries": 0,
        "values": values,
        "share": 1.0,
        "num_images": 600,
        "num_steps": 144 if kind in ("default", "grid") else 216,
        "real_labels": LABELS,
        "feasible": True,
        "epochs": [{"epoch": k, "val/top1": top1 - 20 / k, "val/loss": 2 / k} for k in (1, 2, 3)],
        "last": {
            name: {"mean": value, "std": 0.0, "n": 1, "over": "seeds"}
            for name, value in values.items()
        },
    }
    return {**about, **changed}


def rows_of(plan: StudyPlan) -> list[dict[str, Any]]:
    """Every trial: most complete, some pruned, one failed."""
    found = []
    for slot, (kind, _) in enumerate(fixed(plan)):
        one = row(plan, slot)
        if kind == "search" and slot % 3 == 2:
            one |= {"state": "pruned", "share": plan.study.shares[0], "num_steps": 36}
            del one["last"]
        found.append(one)
    found[-1] |= {"state": "failed", "reason": "loss is nan", "values": {}, "epochs": []}
    found[-1].pop("last", None)
    return found


class World:
    """An attempt whose accuracy is the rule's, moved a little by the seed; it keeps its calls."""

    def __init__(self, *, fails: tuple[int, ...] = (), scored: str = "val") -> None:
        self.calls: list[tuple[dict[str, Any], int]] = []
        self.fails, self.scored = fails, scored

    def __call__(
        self, values: Mapping[str, object], *, seed: int, share: float
    ) -> Iterator[AttemptReport]:
        assert share == 1.0
        self.calls.append((dict(values), seed))
        for epoch in (1, 2, 3):
            if seed in self.fails and epoch == 2:
                raise TrainingError("loss is nan")
            top1 = goodness(values) + 0.1 * (seed % 10) + (epoch - 3)
            facts = {"num_images": 600, "real_labels": LABELS} if epoch == 3 else {}
            yield AttemptReport(epoch, 10 * epoch, {f"{self.scored}/top1": top1}, facts)

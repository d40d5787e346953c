"""The winner of a study against its default on `test`, once: the only reader of it in a study.

Nothing is chosen here or after it: the winner was, by its finals on `val`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from synthgap.errors import WorkError
from synthgap.evaluation.intervals import estimate, t_interval
from synthgap.jobs import Artifacts
from synthgap.studies.trials.plan import Attempt, StudyPlan

CONFIDENCE = 0.95
FULL = 1.0
TOP1 = "test/top1"


def verdict(
    plan: StudyPlan,
    winner: Mapping[str, Any],
    artifacts: Artifacts,
    *,
    existing: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train winner and default with every scored seed, as run.json has what they are right on.

    `existing` is the verdict that the study has already.

    Raises:
        WorkError: it has one: a second verdict would make a selection of the first.
        TrainingError: the loss of one of them is not finite.
        SynthgapError: what they read is missing.
    """
    from synthgap.experiments.runs.sources import open_scored
    from synthgap.studies.trials.attempt import StudentAttempt

    refuse_judged(plan, existing)
    source = open_scored(artifacts, plan.base.data.image_size)["test"]
    attempt = StudentAttempt.open(plan, artifacts).scored_on({"test": source})
    return compared(plan, winner, attempt, num_images=len(source.images))


def refuse_judged(plan: StudyPlan, existing: Mapping[str, Any] | None) -> None:
    """Let a study that has its verdict neither search on nor be scored again.

    Raises:
        WorkError: it has one.
    """
    if existing is not None:
        raise WorkError(
            f"study {plan.name}: has its verdict over seeds {existing['seeds']}, which is given "
            "once; begin another study under another name"
        )


def compared(
    plan: StudyPlan, winner: Mapping[str, Any], attempt: Attempt, *, num_images: int
) -> dict[str, Any]:
    """The verdict, by an attempt that is scored on `test`: top-1 in percent, one run a seed.

    The interval is Student's over the paired differences. Where the default has won, both are the
    same runs: they are made once, and a difference of 0 has no interval.
    """
    seeds = plan.study.finals.scored_seeds
    ours = _scores(winner["tuned"], seeds, attempt)
    same = dict(winner["tuned"]) == plan.default
    default = ours if same else _scores(plan.default, seeds, attempt)
    pairs = [one - other for one, other in zip(ours, default, strict=True)]
    interval = None if same else t_interval(pairs, confidence=CONFIDENCE)
    return {
        "seeds": [*seeds],
        "winner": ours,
        "default": default,
        "difference": {
            "mean": estimate(pairs, over="seeds").mean,
            "low": interval and interval.low,
            "high": interval and interval.high,
            "confidence": CONFIDENCE,
            "n": len(pairs),
            "over": "seeds",
        },
        "winner_top1": asdict(estimate(ours, over="seeds")),
        "default_top1": asdict(estimate(default, over="seeds")),
        "num_test_images": num_images,
    }


def _scores(values: Mapping[str, object], seeds: tuple[int, ...], attempt: Attempt) -> list[float]:
    """Of every seed the mean over the last epochs, which the last reading has."""
    found = []
    for seed in seeds:
        *_, last = attempt(values, seed=seed, share=FULL)
        found.append(float(last.metrics[TOP1]))
    return found

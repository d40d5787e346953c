"""What makes a study's trials, opened, and what its record states beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from synthgap.data import ImageSet
from synthgap.jobs import Artifacts, environment
from synthgap.jobs.device import device_of
from synthgap.studies.trials.plan import Attempt, StudyPlan

STAGE = "tune"


def open_attempt(plan: StudyPlan, artifacts: Artifacts) -> tuple[StudyPlan, Attempt]:
    """What makes the plan's trials, and the plan with the digests of what they read.

    Raises:
        SynthgapError: something of it is missing or damaged.
    """
    from synthgap.studies.trials.attempt import StudentAttempt

    attempt = StudentAttempt.open(plan, artifacts)
    return replace(plan, inputs=attempt.inputs), attempt


def surroundings(plan: StudyPlan, artifacts: Artifacts) -> dict[str, Any]:
    """What a record states beside trials: the environment, and how many images `val` has."""
    runtime = plan.base.runtime
    return {
        "environment": {
            **environment(threads=runtime.threads, device=device_of(runtime).type),
            "precision": runtime.precision,
            "processes": runtime.processes,
        },
        "num_val": len(ImageSet.read(artifacts.image_set("val"))),
    }

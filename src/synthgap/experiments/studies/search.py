"""One trial: a student at each share of its synthetic set, with every seed, until it is stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synthgap.errors import ParamsError, TrainingError
from synthgap.experiments.studies.course import COMPLETE, FAILED, KILLED, PRUNED, Course
from synthgap.experiments.studies.plan import Attempt, StudyPlan
from synthgap.experiments.studies.rows import Tell, head
from synthgap.experiments.studies.slots import Slot
from synthgap.experiments.studies.space import suggested

if TYPE_CHECKING:
    import optuna
    from optuna.trial import TrialState


@dataclass(frozen=True)
class Ended:
    """What optuna is told of a trial: its state, its objectives, and its row for the record."""

    state: TrialState
    values: list[float] | None
    told: dict[str, Any]

    def conclude(self, trial: optuna.Trial) -> None:
        """Keep the row with the trial, then end it."""
        trial.set_user_attr("told", self.told)
        trial.study.tell(trial, self.values, state=self.state)


def run_trial(
    trial: optuna.Trial, slot: Slot, plan: StudyPlan, attempt: Attempt, tell: Tell
) -> Ended:
    """Make a slot's trial, and tell of it epoch by epoch.

    Values that contradict each other, and a training that cannot go on, make it a failed one.

    Raises:
        SynthgapError: something that the next trial would meet too.
    """
    from optuna.trial import TrialState

    tuned = {**suggested(trial, plan), **slot.values}
    about = head(plan, slot.number, slot.kind, tuned, seeds=plan.study.seeds)
    course = Course(trial, slot, plan, tell, about)
    tell({"event": "start", "digest": about["digest"], "run": about})
    state, reason, values = KILLED, None, None
    try:
        try:
            state = course.run(attempt)
            values = course.objectives() if state == COMPLETE else None
        except (ParamsError, TrainingError) as error:
            state, reason = FAILED, str(error)
    finally:
        told = course.told(state, reason)
        tell({"event": "end", "digest": about["digest"], "run": told})
    told_as = {COMPLETE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL}
    return Ended(told_as[state], values, told)

"""A study by one worker in memory: one trial after the other, each kept as a line when it ends.

A killed one goes on where it was, and ends as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgap.studies.trials.budget import PlannedTrial, planned_trials
from synthgap.studies.trials.plan import Attempt, StudyPlan
from synthgap.studies.trials.rows import EventLogger, append_line, read_lines
from synthgap.studies.trials.run import run_trial
from synthgap.studies.trials.samplers import directions, pruner, quiet, sampler
from synthgap.studies.trials.space import distributions

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


def search(
    plan: StudyPlan, attempt: Attempt, kept: Path, log_event: EventLogger
) -> list[FrozenTrial]:
    """Every trial of the budget, in order; `kept` is the file of those that have ended.

    Raises:
        SynthgapError: the slots do not fit the budget, or something that no trial can mend.
    """
    import optuna

    planned, done = planned_trials(plan), read_lines(kept)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for slot in planned[len(done) :]:
        study = _study(plan, done)
        trial = _asked(study, slot, plan)
        run_trial(trial, slot, plan, attempt, log_event).conclude(trial)
        append_line(kept, _row(study.get_trials(deepcopy=False)[-1]))
        done = read_lines(kept)
    return _study(plan, done).get_trials()


def _study(plan: StudyPlan, done: Sequence[Mapping[str, Any]]) -> optuna.Study:
    """The study of the trials that have ended.

    It is made anew for every trial: what a sampler remembers besides them (NSGA-II its parents, in
    an order of its own) would be lost with its process.
    """
    import optuna

    study = optuna.create_study(
        study_name=plan.name, directions=directions(plan), pruner=pruner(plan)
    )
    space = distributions(plan)
    study.add_trials([_trial(row, space) for row in done])
    return study


def _asked(study: optuna.Study, slot: PlannedTrial, plan: StudyPlan) -> optuna.Trial:
    """The slot's trial, with its fixed values."""
    study.sampler = sampler(plan, slot.number)
    study.enqueue_trial(slot.values, user_attrs={"slot": slot.number, "kind": slot.kind})
    with quiet():
        return study.ask()


def _row(trial: FrozenTrial) -> dict[str, Any]:
    """All of an ended trial that later ones can depend on, and its record."""
    return {
        "state": trial.state.name,
        "values": trial.values,
        "params": trial.params,
        "user_attrs": trial.user_attrs,
        "system_attrs": trial.system_attrs,
        "intermediate_values": {str(step): v for step, v in trial.intermediate_values.items()},
    }


def _trial(row: Mapping[str, Any], space: dict[str, BaseDistribution]) -> FrozenTrial:
    """The trial that a row was written of."""
    from optuna.trial import TrialState, create_trial

    steps = row["intermediate_values"].items()
    return create_trial(
        state=TrialState[row["state"]],
        values=row["values"],
        params=row["params"],
        distributions=space,
        user_attrs=row["user_attrs"],
        system_attrs=row["system_attrs"],
        intermediate_values={int(step): value for step, value in steps},
    )

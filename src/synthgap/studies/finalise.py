"""What follows a study's last trial, done by one of its workers: finals, verdict, record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from synthgap.jobs import Artifacts, write_json
from synthgap.studies.session import ABOUT, Session, record_path
from synthgap.studies.trials import queue
from synthgap.studies.trials.budget import planned_trials
from synthgap.studies.trials.finals import final_results, final_round, winner
from synthgap.studies.trials.plan import StudyPlan
from synthgap.studies.trials.record import run_record, study_record, trial_rows
from synthgap.studies.trials.rows import EventLogger

if TYPE_CHECKING:
    from pathlib import Path

    import optuna
    from optuna.trial import FrozenTrial

FINALS, VERDICT = "finals", "verdict"
CLAIM = "closing"
"""User attribute of the trial without a slot by which a worker claims the closing."""
Ending = Literal["open", "elsewhere", "closed", "before"]
"""Slots are left; another worker is closing the study; this one did; it was closed before."""


def finalise(session: Session, log_event: EventLogger) -> Ending:
    """Do what follows the last trial, unless another worker does or did, and write the record.

    Killed in between, the next one goes on after the last final run that was kept.

    Raises:
        SynthgapError: a final run or the scoring cannot be made.
    """
    study, plan = session.study, session.plan
    if len(queue.counted(study.get_trials(deepcopy=False))) < len(planned_trials(plan)):
        return "open"
    if is_finalised(study):
        write_record(plan, study, session.artifacts)
        return "before"
    with _claimed(study, plan) as is_mine:
        if not is_mine:
            return "elsewhere"
        if not is_finalised(study):
            _finish(session, log_event)
    write_record(plan, study, session.artifacts)
    return "closed"


def is_finalised(study: optuna.Study) -> bool:
    """Whether the study has its verdict."""
    return VERDICT in study.user_attrs


def is_claim(trial: FrozenTrial) -> bool:
    """Whether a worker holds this trial because it closes the study, or is about to."""
    return CLAIM in trial.user_attrs and not trial.state.is_finished()


def record_of(plan: StudyPlan, study: optuna.Study) -> dict[str, Any]:
    """All of run.json, from what the storage holds now; of a running study too."""
    attrs = study.user_attrs
    rows = trial_rows(plan, study.get_trials(deepcopy=False))
    about, finals = attrs.get(ABOUT, {}), attrs.get(FINALS, [])
    results = final_results(plan, rows, finals) if finals else []
    summary = study_record(plan, rows, results, attrs.get(VERDICT), num_val=about.get("num_val", 0))
    return run_record(
        plan, [*rows, *finals], summary, {"environment": about.get("environment", {})}
    )


def write_record(plan: StudyPlan, study: optuna.Study, artifacts: Artifacts) -> Path:
    """Write run.json from what the storage holds now, and return where."""
    path = record_path(artifacts, plan.name)
    write_json(path, record_of(plan, study))
    return path


def _finish(session: Session, log_event: EventLogger) -> None:
    from synthgap.studies.trials.verdict import verdict

    plan, study = session.plan, session.study
    rows = trial_rows(plan, study.get_trials(deepcopy=False))
    done: list[Mapping[str, Any]] = list(study.user_attrs.get(FINALS, []))
    for row in final_round(plan, rows, session.attempt, done=tuple(done), log_event=log_event):
        done.append(row)
        study.set_user_attr(FINALS, done)
    first = winner(plan, rows, final_results(plan, rows, done))
    assert first is not None, "there is a final round"
    existing = study.user_attrs.get(VERDICT)
    study.set_user_attr(VERDICT, verdict(plan, first, session.artifacts, existing=existing))


@contextmanager
def _claimed(study: optuna.Study, plan: StudyPlan) -> Iterator[bool]:
    """Whether this worker is the one that closes the study.

    A claim is a running trial without a slot, which no search takes: of those that still beat,
    the oldest is the holder's. So a holder that is killed is noticed as every worker is.
    """
    from optuna.storages._heartbeat import get_heartbeat_thread
    from optuna.trial import TrialState, create_trial

    claim = create_trial(state=TrialState.RUNNING, user_attrs={CLAIM: True})
    trial_id = study._storage.create_new_trial(study._study_id, template_trial=claim)
    try:
        with get_heartbeat_thread(trial_id, study._storage):
            queue.reclaim(study, plan, [])
            claims = filter(is_claim, study.get_trials(deepcopy=False))
            oldest = min(claims, key=lambda trial: trial.number)
            yield oldest._trial_id == trial_id
    finally:
        queue.spare(study, trial_id, CLAIM)

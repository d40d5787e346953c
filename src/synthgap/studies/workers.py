"""A worker of a study: it makes trials until every slot of the budget is done.

Any number of them, on any machines that reach the storage, started and killed at any time.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from synthgap.errors import TrainingError
from synthgap.studies.storage import check_plan, storage_errors
from synthgap.studies.trials import queue
from synthgap.studies.trials.budget import PlannedTrial, planned_trials
from synthgap.studies.trials.plan import Attempt, AttemptReport, StudyPlan
from synthgap.studies.trials.rows import EventLogger
from synthgap.studies.trials.run import TrialOutcome, run_trial
from synthgap.studies.trials.samplers import pruner, sampler

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

POLL_S = 1.0
"""Seconds between a waiting worker's checks for a slot that another one gives back."""
RECLAIM_S = 15.0
"""Seconds between a busy worker's reclaims of dead workers' slots."""


def _silent(_: Mapping[str, Any]) -> None:
    return


def work(
    study: Study,
    plan: StudyPlan,
    attempt: Attempt,
    log_event: EventLogger = _silent,
    limit: int | None = None,
) -> int:
    """Make trials until all slots are done, or `limit` of them, and return how many were made.

    Where nothing waits but other workers are busy, it stays: their slots may come back. SIGTERM
    and Ctrl-C give the slot back at once, and so does an error that the next trial would meet too.

    Raises:
        ParamsError: the study was created with another plan.
        WorkError: the storage cannot be reached any more.
        SynthgapError: of the attempt, where it is not the trial's own.
    """
    check_plan(study, plan)
    budget = planned_trials(plan)
    worker = _Worker(study, plan, budget, attempt, log_event)
    made = 0
    with storage_errors(f"study {study.study_name}"), _stopping():
        while limit is None or made < limit:
            trial_id = worker.next()
            if trial_id is None:
                break
            made += worker.make(trial_id)
    return made


class _Worker:
    def __init__(
        self,
        study: Study,
        plan: StudyPlan,
        budget: Sequence[PlannedTrial],
        attempt: Attempt,
        log_event: EventLogger,
    ) -> None:
        self.study, self.plan, self.budget = study, plan, budget
        self.attempt, self.log_event = attempt, log_event
        self.last_reclaim = time.monotonic()

    def next(self) -> int | None:
        """Take the earliest slot's trial, and wait for one; None when all slots are done.

        It reclaims slots of dead workers when nothing waits, and every RECLAIM_S.
        """
        while True:
            if time.monotonic() - self.last_reclaim > RECLAIM_S:
                self.reclaim()
            trial_id = queue.take(self.study)
            if trial_id is None:
                if not self.reclaim():
                    return None
                trial_id = queue.take(self.study)
            if trial_id is not None:
                return trial_id
            time.sleep(POLL_S)

    def reclaim(self) -> bool:
        """Queue the slots of dead workers; whether any slot is not done."""
        self.last_reclaim = time.monotonic()
        return queue.reclaim(self.study, self.plan, self.budget)

    def make(self, trial_id: int) -> bool:
        """Make a trial that was taken; whether it counts."""
        from optuna.storages._heartbeat import get_heartbeat_thread

        try:
            with get_heartbeat_thread(trial_id, self.study._storage):
                return self._make(trial_id)
        except BaseException as error:
            queue.spare(self.study, trial_id, type(error).__name__)
            queue.queue_lost(self.study, self.budget)
            raise

    def _make(self, trial_id: int) -> bool:
        from optuna import Trial
        from optuna.exceptions import UpdateFinishedTrialError

        trials = queue.of_same_slot(self.study.get_trials(deepcopy=False), trial_id)
        number = trials[0].user_attrs["slot"]
        slot = next(slot for slot in self.budget if slot.number == number)
        if queue.is_duplicate(trial_id, trials):
            queue.spare(self.study, trial_id, "duplicate")
            return False
        self.study.sampler = sampler(self.plan, slot.number)
        self.study.pruner = pruner(self.plan)
        try:
            trial = Trial(self.study, trial_id)
            ended = run_trial(
                trial, slot, self.plan, self._attempt_of(slot, trials), self.log_event
            )
            return _conclude(trial, ended)
        except UpdateFinishedTrialError:  # held for dead meanwhile: another worker has the slot
            return False

    def _attempt_of(self, slot: PlannedTrial, trials: Sequence[FrozenTrial]) -> Attempt:
        """The attempt, or its refusal where the slot's trials have killed too many workers."""
        died = queue.deaths(trials)
        return self.attempt if died <= queue.RETRIES else _Refusal(slot, died)


class _Refusal:
    def __init__(self, slot: PlannedTrial, died: int) -> None:
        self.line = (
            f"trial {slot.number}: {died} workers died making it, expected one to finish; "
            "is there memory enough for these values?"
        )

    def __call__(
        self,
        values: Mapping[str, object],  # noqa: ARG002 - as every attempt is called
        *,
        seed: int,  # noqa: ARG002
        share: float,  # noqa: ARG002
    ) -> Iterator[AttemptReport]:
        raise TrainingError(self.line)


def _conclude(trial: Trial, ended: TrialOutcome) -> bool:
    """Keep the trial's row and its end; whether it counts.

    Where this worker dies in between, whoever reclaims the trial ends it as the row says.
    """
    trial.set_user_attr("told", ended.row)
    kept = trial.study.tell(trial, ended.values, ended.state, skip_if_finished=True)
    return queue.is_done(kept)


@contextmanager
def _stopping() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that the slot is given back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)

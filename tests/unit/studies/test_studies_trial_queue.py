"""Whatever instant a worker dies at, every slot of the budget ends exactly once."""

from __future__ import annotations

import multiprocessing
import os

import optuna
import pytest
from optuna.trial import TrialState
from study_world import LAMBDA, SHORT, Sleeper, age, plan_of

from synthgap.studies import workers
from synthgap.studies.storage import create_study, open_storage
from synthgap.studies.trials import queue
from synthgap.studies.trials.budget import planned_trials
from synthgap.studies.trials.queue import by_slot, counted, progress
from synthgap.studies.workers import work

FORK = multiprocessing.get_context("fork")


def in_a_process(act):
    """Run in a forked process and return its exit code."""
    child = FORK.Process(target=act)
    child.start()
    child.join()
    return child.exitcode


def die(*_, **__):
    os._exit(9)


def die_after(function):
    def wrapped(*given, **named):
        function(*given, **named)
        os._exit(9)

    return wrapped


def test_the_earliest_waiting_slot_is_taken_and_none_is_created(tmp_path, journal):
    """It stands on Optuna's own names, which `ask` begins with: this fails where they change."""
    plan = plan_of(3)
    study = create_study(plan, open_storage(journal, tmp_path))
    study.enqueue_trial({LAMBDA: 0.5})  # by hand: no slot, no budget
    study._get_trials(use_cache=True)
    assert study._thread_local.cached_all_trials is not None
    first = queue.take(study)
    assert study._thread_local.cached_all_trials is None
    assert study.get_trials()[0]._trial_id == first
    assert study.get_trials()[0].state == TrialState.RUNNING
    queue.spare(study, first, "given back")
    queue.queue_lost(study, planned_trials(plan))
    taken = [queue.take(study) for _ in range(4)]
    numbers = {trial._trial_id: trial.number for trial in study.get_trials()}
    assert [numbers.get(trial) for trial in taken] == [4, 1, 2, None]
    assert len(study.get_trials()) == 5


def killing(instant, study, plan, attempt):
    """A worker that dies at the instant; `attempt` is where it trains."""

    def act():
        if instant == "taken":  # before the first beat
            take = queue.take
            queue.take = die_after(take)
        elif instant == "training":
            attempt.note = lambda *_: os._exit(9)
        elif instant == "trained":  # before the row is kept
            workers._conclude = die
        elif instant == "kept":  # the row, but not the end
            optuna.Study.tell = die
        elif instant == "told":
            optuna.Study.tell = die_after(optuna.Study.tell)
        work(study, plan, attempt)

    assert in_a_process(act) == 9
    age(study._storage)


INSTANTS = {"taken": 1, "training": 1, "trained": 1, "kept": 0, "told": 0}


@pytest.mark.parametrize(("instant", "died"), INSTANTS.items())
def test_a_worker_killed_at_any_instant_loses_no_slot(open_study, tmp_path, instant, died):
    plan, attempt = plan_of(3), Sleeper(tmp_path / "log")
    open_study(plan)
    killing(instant, open_study(plan), plan, attempt)
    attempt.log.unlink(missing_ok=True)
    study = open_study(plan)
    slot = planned_trials(plan)
    queue.reclaim(study, plan, slot)  # gives a beat to one that never had any
    age(study._storage)
    made = work(study, plan, attempt)
    trials = study.get_trials()
    assert made == 3 - (instant in ("kept", "told"))
    assert [trial.user_attrs["slot"] for trial in counted(trials)] == [0, 1, 2]
    assert len(attempt.lines("end")) == made
    assert progress(trials)["deaths"] == died
    assert counted(trials)[0].user_attrs["told"]["retries"] == died
    assert all(trial.state == TrialState.COMPLETE for trial in counted(trials))
    assert counted(trials)[0].values == [100 * plan.default[LAMBDA]]


@pytest.mark.parametrize("instant", ["failed", "spared", "queued"])
def test_who_reclaims_or_gives_back_may_be_killed_too(open_study, tmp_path, instant):
    plan, attempt = plan_of(3), Sleeper(tmp_path / "log")
    study = open_study(plan)
    killing("training", study, plan, attempt)

    def act():
        mine = open_study(plan)
        if instant == "failed":  # after FAIL, before its slot waits again
            queue.queue_lost = die
            queue.reclaim(mine, plan, planned_trials(plan))
        elif instant == "spared":  # between a given back trial's mark and its end
            trial = queue.take(mine)
            mine._storage.set_trial_user_attr(trial, queue.SPARED, "SystemExit")
        else:
            queue.queue = die_after(queue.queue)
            queue.reclaim(mine, plan, planned_trials(plan))
        os._exit(9)

    assert in_a_process(act) == 9
    study = open_study(plan)
    queue.reclaim(study, plan, planned_trials(plan))
    age(study._storage)
    attempt.log.unlink(missing_ok=True)
    assert work(study, plan, attempt) == 3
    trials = study.get_trials()
    assert [trial.user_attrs["slot"] for trial in counted(trials)] == [0, 1, 2]
    assert progress(trials)["deaths"] == 1
    assert len(attempt.lines("start")) == 3


def test_two_workers_that_queue_one_slot_at_once_make_it_once(open_study, tmp_path):
    plan, attempt = plan_of(3), Sleeper(tmp_path / "log")
    study = open_study(plan)
    trial = queue.take(study)
    study._storage.set_trial_state_values(trial, TrialState.FAIL)
    dead = by_slot(study.get_trials())[0]
    queue.queue(study, planned_trials(plan)[0], dead)
    queue.queue(open_study(plan), planned_trials(plan)[0], dead)
    assert work(study, plan, attempt) == 3
    trials = study.get_trials()
    assert len(by_slot(trials)[0]) == 3
    assert by_slot(trials)[0][2].user_attrs[queue.SPARED] == "duplicate"
    assert [trial.user_attrs["slot"] for trial in counted(trials)] == [0, 1, 2]
    assert len(attempt.lines("start")) == 3


def test_of_two_trials_under_way_the_older_goes_on(tmp_path, journal):
    plan = plan_of(1)
    study = create_study(plan, open_storage(journal, tmp_path))
    queue.queue(study, planned_trials(plan)[0])
    older, younger = queue.take(study), queue.take(study)
    trials = study.get_trials()
    assert not queue.is_duplicate(older, trials)
    assert queue.is_duplicate(younger, trials)


def test_values_that_kill_every_worker_are_failed_after_three_retries(tmp_path, journal):
    plan, attempt = plan_of(2), Sleeper(tmp_path / "log")
    study = create_study(plan, open_storage(journal, tmp_path, SHORT))
    for _ in range(1 + queue.RETRIES):
        last = by_slot(study.get_trials())[0][-1]._trial_id
        study._storage.set_trial_state_values(last, TrialState.RUNNING)
        study._storage.set_trial_state_values(last, TrialState.FAIL)
        assert queue.reclaim(study, plan, planned_trials(plan))
    assert work(study, plan, attempt) == 2
    first, second = counted(study.get_trials())
    assert first.state == TrialState.FAIL
    assert first.user_attrs["told"]["state"] == "failed"
    assert "trial 0: 4 workers died" in first.user_attrs["told"]["reason"]
    assert first.user_attrs["told"]["retries"] == 4
    assert second.state == TrialState.COMPLETE
    assert len(attempt.lines("start")) == 1

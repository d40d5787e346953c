"""Workers make the budget of a study together, and give back what they cannot end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

import optuna
import pytest
from optuna.trial import TrialState
from study_world import (
    LAMBDA,
    SHORT,
    Sleeper,
    age,
    assert_exact,
    kill_two_in_a_trial,
    one_worker,
    plan_of,
)

from synthgap.errors import DataError, ParamsError, TrainingError, WorkError
from synthgap.studies import workers
from synthgap.studies.storage import create_study, load_study, open_storage
from synthgap.studies.trials import queue
from synthgap.studies.trials.queue import by_slot, counted, progress
from synthgap.studies.workers import work

FORK = multiprocessing.get_context("fork")


def test_a_worker_makes_the_whole_budget_and_no_more(open_study, tmp_path):
    plan, attempt, events = plan_of(5), Sleeper(tmp_path / "log"), []
    study = open_study(plan)
    assert work(study, plan, attempt, events.append) == 5
    assert work(study, plan, attempt) == 0
    assert_exact(study.get_trials(), 5, attempt, died=0)
    assert [trial.state for trial in study.get_trials()] == [TrialState.COMPLETE] * 5
    first = study.get_trials()[0]
    assert first.params[LAMBDA] == plan.default[LAMBDA]
    assert first.values == [first.user_attrs["told"]["values"]["val/top1"]]
    assert [event["event"] for event in events[:4]] == ["start", "epoch", "epoch", "end"]


def test_a_limit_is_kept_and_the_rest_goes_on_as_without_it(tmp_path):
    plan, found = plan_of(5, sampler="tpe"), []
    for name, limits in (("a", [None]), ("b", [2, 0, 1, None])):
        study = create_study(plan, open_storage(f"journal://{tmp_path}/{name}", tmp_path))
        made = [work(study, plan, Sleeper(tmp_path / "log"), limit=limit) for limit in limits]
        assert sum(made) == 5
        found.append([trial.params for trial in study.get_trials()])
    assert found[0] == found[1]


def test_another_plan_or_other_inputs_make_no_trial(tmp_path, journal):
    study = create_study(plan_of(), open_storage(journal, tmp_path))
    with pytest.raises(ParamsError, match=r"study\.sampler"):
        work(study, plan_of(sampler="tpe"), Sleeper(tmp_path / "log"))
    assert not (tmp_path / "log").exists()


def fails(error):
    def attempt(values, *, seed, share):
        raise error
        yield

    return attempt


def test_a_trials_own_failure_counts_and_is_not_retried(tmp_path, journal):
    plan = plan_of(3)
    study = create_study(plan, open_storage(journal, tmp_path))
    assert work(study, plan, fails(TrainingError("loss is nan"))) == 3
    trials = study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.FAIL] * 3
    assert {trial.user_attrs["told"]["reason"] for trial in trials} == {"loss is nan"}
    assert len(counted(trials)) == 3


@pytest.mark.parametrize(
    "error", [DataError("train: gone"), KeyboardInterrupt(), RuntimeError("bug")]
)
def test_any_other_error_gives_the_slot_back_and_stops(tmp_path, journal, error):
    plan, attempt = plan_of(3), Sleeper(tmp_path / "log")
    study = create_study(plan, open_storage(journal, tmp_path))
    with pytest.raises(type(error)):
        work(study, plan, fails(error))
    assert progress(study.get_trials()) == {"done": 0, "running": 0, "waiting": 3, "deaths": 0}
    assert work(study, plan, attempt) == 3
    assert_exact(study.get_trials(), 3, attempt, died=0)


def test_sigterm_gives_the_slot_back_at_once(open_study, tmp_path):
    plan, attempt = plan_of(3), Sleeper(tmp_path / "log", 5.0)
    study = open_study(plan)
    timer = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    begun, before = time.monotonic(), signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped:
        work(study, plan, attempt)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert time.monotonic() - begun < 3
    assert signal.getsignal(signal.SIGTERM) is before
    assert len(attempt.lines("start")) == 1
    assert progress(study.get_trials()) == {"done": 0, "running": 0, "waiting": 3, "deaths": 0}
    again = by_slot(study.get_trials())[0]
    assert [trial.state for trial in again] == [TrialState.FAIL, TrialState.WAITING]
    assert again[0].params == again[1].params != {}


def test_who_was_held_for_dead_is_not_counted(tmp_path, journal):
    """A machine that slept: its slot is made elsewhere, and what it made then comes too late."""
    plan, attempt = plan_of(1), Sleeper(tmp_path / "log")
    study = create_study(plan, open_storage(journal, tmp_path, SHORT))
    other = load_study("joint", "digits", open_storage(journal, tmp_path, SHORT))
    slept = []

    def sleeper(values, *, seed, share):
        if not slept:
            slept.append(values)
            age(other._storage)
            assert work(other, plan, attempt) == 1
        yield from attempt(values, seed=seed, share=share)

    assert work(study, plan, sleeper) == 0
    trials = study.get_trials()
    assert len(counted(trials)) == 1
    assert [trial.state for trial in trials] == [TrialState.FAIL, TrialState.COMPLETE]


def test_one_stopped_between_a_trials_row_and_its_end_counts_it(tmp_path, journal, monkeypatch):
    plan, attempt = plan_of(2), Sleeper(tmp_path / "log")
    study = create_study(plan, open_storage(journal, tmp_path, SHORT))

    def stop(*_, **__):
        raise SystemExit

    monkeypatch.setattr(optuna.Study, "tell", stop)
    with pytest.raises(SystemExit):
        work(study, plan, attempt)
    monkeypatch.undo()
    age(study._storage)
    assert work(study, plan, attempt) == 1
    trials = study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    assert_exact(trials, 2, attempt, died=0)


def test_a_worker_waits_for_slots_that_may_come_back(tmp_path, journal, monkeypatch):
    plan, attempt = plan_of(1), Sleeper(tmp_path / "log")
    study = create_study(plan, open_storage(journal, tmp_path, SHORT))
    monkeypatch.setattr(workers, "POLL_S", 0.05)
    trial = queue.take(study)
    study._storage.record_heartbeat(trial)
    dying = threading.Timer(0.3, age, (study._storage,))
    dying.start()
    assert work(study, plan, attempt) == 1
    dying.join()
    assert progress(study.get_trials())["deaths"] == 1


def test_a_storage_that_goes_away_is_one_line(tmp_path, journal, monkeypatch):
    plan = plan_of(1)
    study = create_study(plan, open_storage(journal, tmp_path))

    def away(*_, **__):
        raise optuna.exceptions.StorageInternalError("server closed the connection")

    monkeypatch.setattr(queue, "take", away)
    with pytest.raises(WorkError, match=r"digits/joint: its storage fails: server closed"):
        work(study, plan, Sleeper(tmp_path / "log"))


def test_four_workers_two_of_them_killed_keep_the_budget(url, open_study, tmp_path):
    budget, attempt = 8, Sleeper(tmp_path / "log")
    plan = plan_of(budget)
    study = open_study(plan)
    crew = [
        FORK.Process(target=one_worker, args=(url, budget, attempt.log, 0.25)) for _ in range(4)
    ]
    for worker in crew:
        worker.start()
    killed = kill_two_in_a_trial(attempt, lambda: {w.pid for w in crew if w.is_alive()})
    for worker in crew:
        worker.join(60)
    assert sorted(worker.exitcode for worker in crew) == [-9, -9, 0, 0]
    assert {worker.pid for worker in crew if worker.exitcode} == set(killed)
    assert_exact(study.get_trials(), budget, attempt, died=2)

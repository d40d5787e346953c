"""Running trials beat; one whose worker died is noticed, whenever that was."""

from __future__ import annotations

import threading
import time

import optuna
import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._heartbeat import get_heartbeat_thread, is_heartbeat_enabled
from optuna.trial import TrialState
from study_world import SHORT, age

from synthgap.studies.heartbeat import Heartbeat, HeartbeatDatabase
from synthgap.studies.storage import close_storage, open_storage
from synthgap.studies.trials.queue import take


@pytest.fixture(params=["sqlite", "journal"])
def url(request, tmp_path):
    files = {"sqlite": f"sqlite:///{tmp_path}/s.db", "journal": f"journal://{tmp_path}/s.log"}
    return files[request.param]


@pytest.fixture
def storage(url, tmp_path):
    opened = open_storage(url, tmp_path, SHORT)
    yield opened
    close_storage(opened)


@pytest.fixture
def study(storage):
    made = optuna.create_study(storage=storage, study_name="one")
    made.enqueue_trial({}, user_attrs={"slot": 0})
    made.enqueue_trial({}, user_attrs={"slot": 1})
    return made


def silent(study):
    return study._storage._get_stale_trial_ids(study._study_id)


def test_a_trial_that_beats_is_alive_and_a_silent_one_is_not(study, storage):
    trial, other = take(study), take(study)
    storage.record_heartbeat(trial)
    storage.record_heartbeat(other)
    assert silent(study) == []
    age(storage)
    storage.record_heartbeat(other)
    assert silent(study) == [trial]


def test_a_trial_that_never_beat_is_silent_from_when_it_is_looked_at(study, storage):
    trial = take(study)
    assert silent(study) == []
    age(storage)
    assert silent(study) == [trial]


def test_waiting_and_ended_trials_are_not_silent(study, storage):
    trial = take(study)
    storage.record_heartbeat(trial)
    study.tell(0, 1.0)
    age(storage)
    assert silent(study) == []


def test_a_trial_beats_while_it_is_made(url, tmp_path):
    storage = open_storage(url, tmp_path, Heartbeat(1, 2))
    study = optuna.create_study(storage=storage, study_name="one")
    study.enqueue_trial({}, user_attrs={"slot": 0})
    trial = take(study)
    assert is_heartbeat_enabled(study._storage)
    with get_heartbeat_thread(trial, study._storage):
        time.sleep(0.3)
        age(storage)
        assert silent(study) == [trial]
        time.sleep(1.2)
        assert silent(study) == []
    close_storage(storage)


def test_the_clock_of_who_looks_does_not_count(study, storage, monkeypatch):
    trial = take(study)
    storage.record_heartbeat(trial)
    assert trial is not None
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 3600)
    assert silent(study) == []


def test_a_missed_beat_stops_nothing(study, storage, monkeypatch):
    trial = take(study)

    def away(*_):
        raise StorageInternalError

    if isinstance(storage, HeartbeatDatabase):
        monkeypatch.setattr(RDBStorage, "record_heartbeat", away)
    else:
        storage.folder = storage.folder / "gone"
    storage.record_heartbeat(trial)


def test_two_workers_never_take_one_trial(url, study, storage, tmp_path, monkeypatch):
    """Both are held where one has read that the trial waits, and has not written yet."""
    met = threading.Barrier(2)
    check = optuna.storages.BaseStorage.check_trial_is_updatable

    def hold(self, *given):
        check(self, *given)
        try:
            met.wait(0.4)
        except threading.BrokenBarrierError:
            return

    monkeypatch.setattr(RDBStorage, "check_trial_is_updatable", hold)
    other = open_storage(url, tmp_path, SHORT)
    waiting = study.get_trials()[0]._trial_id
    won = []

    def claim(claimed):
        won.append(claimed.set_trial_state_values(waiting, TrialState.RUNNING))

    claims = [threading.Thread(target=claim, args=(one,)) for one in (storage, other)]
    for one in claims:
        one.start()
    for one in claims:
        one.join()
    close_storage(other)
    assert sorted(won) == [False, True]


def test_a_trial_ends_once(url, study, storage, tmp_path):
    trial = take(study)
    other = open_storage(url, tmp_path, SHORT)
    other.set_trial_state_values(trial, TrialState.FAIL)
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial, TrialState.COMPLETE, [1.0])
    close_storage(other)
    assert study.get_trials()[0].state == TrialState.FAIL


def test_a_line_that_a_killed_writer_began_is_cut_off(tmp_path):
    url = f"journal://{tmp_path}/s.log"
    study = optuna.create_study(storage=open_storage(url, tmp_path), study_name="one")
    study.enqueue_trial({"x": 1})
    with (tmp_path / "s.log").open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"')
    assert len(study.get_trials()) == 1
    study.enqueue_trial({"x": 2})
    again = optuna.load_study(storage=open_storage(url, tmp_path), study_name="one")
    found = [trial.system_attrs["fixed_params"]["x"] for trial in again.get_trials()]
    assert found == [trial.system_attrs["fixed_params"]["x"] for trial in study.get_trials()]
    assert found == [1, 2]


def test_beats_of_ended_trials_are_swept_from_the_shared_disk(tmp_path):
    storage = open_storage(f"journal://{tmp_path}/s.log", tmp_path)
    study = optuna.create_study(storage=storage, study_name="one")
    study.enqueue_trial({}, user_attrs={"slot": 0})
    storage.record_heartbeat(take(study))
    assert len(list(storage.folder.iterdir())) == 1
    study.tell(0, 1.0)
    assert silent(study) == []
    assert list(storage.folder.iterdir()) == []

"""Studies on a real PostgreSQL server, with workers that are killed with -9."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager

import optuna
import pytest
import study_world
from study_world import (
    LAMBDA,
    SHORT,
    Sleeper,
    age,
    assert_exact,
    kill_two_in_a_trial,
    plan_of,
)

from synthgap.errors import WorkError
from synthgap.studies.storage import close_storage, create_study, open_storage, study_names
from synthgap.studies.trials import queue
from synthgap.studies.trials.budget import planned_trials
from synthgap.studies.trials.queue import counted, progress
from synthgap.studies.workers import work

pytestmark = pytest.mark.servers


@pytest.fixture
def url(request, postgresql, tmp_path):
    files = {"sqlite": f"sqlite:///{tmp_path}/s.db", "journal": f"journal://{tmp_path}/s.log"}
    return files.get(getattr(request, "param", ""), postgresql)


@pytest.fixture
def storage(url, tmp_path):
    opened = open_storage(url, tmp_path, SHORT)
    yield opened
    for name in study_names(opened):
        optuna.delete_study(study_name=name, storage=opened)
    close_storage(opened)


@pytest.fixture
def study(storage):
    return create_study(plan_of(3), storage)


@contextmanager
def crew(python, url, budget, log, *, workers, epoch_s):
    """Workers as processes of their own, ended with this."""
    command = [python, study_world.__file__, url, str(budget), str(log), str(epoch_s)]
    started = [subprocess.Popen(command) for _ in range(workers)]
    try:
        yield started
    finally:
        for one in started:
            one.kill()
            one.wait()


@pytest.mark.parametrize("url", ["postgresql", "journal", "sqlite"], indirect=True)
def test_four_workers_two_killed_mid_trial_end_every_slot_once(python, url, storage, tmp_path):
    budget, attempt = 16, Sleeper(tmp_path / "log")
    plan = plan_of(budget)
    study = create_study(plan, storage)
    with crew(python, url, budget, attempt.log, workers=4, epoch_s=0.4) as started:
        alive = lambda: {one.pid for one in started if one.poll() is None}  # noqa: E731
        killed = kill_two_in_a_trial(attempt, alive)
        for one in started:
            one.wait(120)
        codes = {one.pid: one.returncode for one in started}
    assert {pid for pid, code in codes.items() if code == -signal.SIGKILL} == set(killed)
    assert sorted(codes.values()) == [-9, -9, 0, 0]
    assert_exact(study.get_trials(), budget, attempt, died=2)
    assert len({line["pid"] for line in attempt.lines("end")}) >= 2


def test_four_workers_on_a_study_without_deaths_make_no_trial_twice(python, url, storage, tmp_path):
    budget, attempt = 24, Sleeper(tmp_path / "log")
    plan = plan_of(budget)
    study = create_study(plan, storage)
    with crew(python, url, budget, attempt.log, workers=4, epoch_s=0.01) as started:
        codes = [one.wait(120) for one in started]
    assert codes == [0] * 4
    assert len(study.get_trials()) == budget
    assert_exact(study.get_trials(), budget, attempt, died=0)


def test_storages_opened_at_once_make_the_tables_once(python, postgresql, tmp_path):
    """In a database that has none yet."""
    from sqlalchemy import create_engine, text

    engine = create_engine(postgresql, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE empty"))
    engine.dispose()
    program = (
        "import sys; from pathlib import Path\n"
        "from synthgap.studies.storage import *\n"
        "close_storage(open_storage(sys.argv[1], Path('/')))"
    )
    url = postgresql.removesuffix("/postgres") + "/empty"
    started = [subprocess.Popen([python, "-c", program, url]) for _ in range(4)]
    assert [one.wait(60) for one in started] == [0] * 4


def test_a_worker_that_never_beat_is_noticed_by_the_servers_clock(study, tmp_path):
    plan, attempt = plan_of(3), Sleeper(tmp_path / "log")
    queue.take(study)
    queue.reclaim(study, plan, planned_trials(plan))
    assert progress(study.get_trials())["running"] == 1
    age(study._storage)
    assert work(study, plan, attempt) == 3
    assert progress(study.get_trials())["deaths"] == 1
    assert counted(study.get_trials())[0].values == [100 * plan.default[LAMBDA]]


def test_clients_in_other_time_zones_see_the_same_beats(study, url, tmp_path, monkeypatch):
    trial = queue.take(study)
    study._storage.record_heartbeat(trial)
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    other = open_storage(url, tmp_path, SHORT)
    assert other._get_stale_trial_ids(study._study_id) == []
    other.record_heartbeat(trial)
    monkeypatch.setenv("PGTZ", "America/Lima")
    third = open_storage(url, tmp_path, SHORT)
    assert third._get_stale_trial_ids(study._study_id) == []
    close_storage(other)
    close_storage(third)


def test_a_wrong_password_is_one_line_that_does_not_show_it(url, tmp_path):
    wrong = url.replace("@127", "x@127")
    with pytest.raises(WorkError, match="password authentication failed") as refused:
        open_storage(wrong, tmp_path)
    assert wrong.split(":")[2].split("@")[0] not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_sigterm_gives_a_slot_back_at_once(python, url, study, tmp_path):
    attempt = Sleeper(tmp_path / "log")
    with crew(python, url, 3, attempt.log, workers=1, epoch_s=30) as [worker]:
        deadline = time.monotonic() + 60
        while not attempt.lines("start") and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.wait(10) == 128 + signal.SIGTERM
    assert progress(study.get_trials()) == {"done": 0, "running": 0, "waiting": 3, "deaths": 0}

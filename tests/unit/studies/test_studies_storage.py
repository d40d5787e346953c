"""Storages are opened by url, made once, and keep a study with its plan and its whole budget."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sqlite3
import sys

import optuna
import pytest
from study_world import LAMBDA, plan_of

from synthgap.errors import ParamsError, WorkError
from synthgap.studies import storage as studies
from synthgap.studies.databases import JOURNAL
from synthgap.studies.heartbeat import HeartbeatDatabase, HeartbeatJournal
from synthgap.studies.storage import (
    check_plan,
    close_storage,
    create_study,
    delete_study,
    load_study,
    masked_url,
    open_storage,
    place_of,
    plan_attributes,
    storage_errors,
    study_names,
)
from synthgap.studies.trials.budget import planned_trials
from synthgap.studies.trials.queue import by_slot, queue_lost

AWKWARD = "pa:s/s@w?rd"
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def url(request, tmp_path):
    kind = getattr(request, "param", "journal")
    name = f"sqlite:///{tmp_path}/s/studies.db"
    return name if kind == "sqlite" else f"{JOURNAL}{tmp_path}/studies.log"


both = pytest.mark.parametrize("url", ["sqlite", "journal"], indirect=True)


@pytest.fixture
def storage(url, tmp_path):
    opened = open_storage(url, tmp_path)
    yield opened
    close_storage(opened)


def test_the_default_is_sqlite_below_mlruns(tmp_path, monkeypatch):
    monkeypatch.delenv("SYNTHGAP_STUDIES", raising=False)
    assert place_of(None, tmp_path) == f"sqlite:///{tmp_path}/mlruns/studies.db"
    opened = open_storage(None, tmp_path)
    close_storage(opened)
    assert isinstance(opened, HeartbeatDatabase)
    assert (tmp_path / "mlruns" / "studies.db").is_file()


def test_the_environment_names_another_and_the_option_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHGAP_STUDIES", f"journal://{tmp_path}/j.log")
    assert isinstance(open_storage(None, tmp_path), HeartbeatJournal)
    assert place_of("sqlite:///a.db", tmp_path) == "sqlite:///a.db"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql+psycopg://me:secret@host:5/db", "postgresql+psycopg://me:***@host:5/db"),
        (f"postgresql+psycopg://me:{AWKWARD}@host/db", "postgresql+psycopg://me:***@host/db"),
        ("postgresql+psycopg://host/db?user=me&password=x&a=b",
         "postgresql+psycopg://host/db?user=me&password=***&a=b"),
        ("postgresql+psycopg://me@host/db", "postgresql+psycopg://me@host/db"),
        ("sqlite:////a/b@c.db", "sqlite:////a/b@c.db"),
        ("mysql://me:secret@host/db", "mysql://me:***@host/db"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_its_password(url, masked):
    assert masked_url(url) == masked


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "journal://relative.log", "journal:", "redis://h",
            "postgresql://me:secret@h/db", "studies.db"],
)  # fmt: skip
def test_any_other_url_is_refused_in_one_line(url, tmp_path):
    with pytest.raises(WorkError, match=r"expected sqlite:///FILE .* journal:///FILE") as refused:
        open_storage(url, tmp_path)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_server_that_is_away_is_one_line_without_the_password(tmp_path):
    pytest.importorskip("psycopg", reason="psycopg is not there (requirements-server.lock)")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and nobody listens
        port = held.getsockname()[1]
        with pytest.raises(WorkError, match=f"127.0.0.1:{port}/db: connection failed") as refused:
            open_storage(f"postgresql+psycopg://me:secret@127.0.0.1:{port}/db", tmp_path)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_storage_that_fails_while_it_is_used_is_one_line():
    from optuna.exceptions import StorageInternalError

    with (
        pytest.raises(WorkError, match="study x: its storage fails: disk is full; ") as refused,
        storage_errors("study x"),
    ):
        raise StorageInternalError("disk is full\nand more")
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="ours"), storage_errors("study x"):
        raise ValueError("ours")


def test_without_the_driver_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(WorkError, match=r"pip install -r requirements-server\.lock"):
        open_storage("postgresql+psycopg://me:secret@127.0.0.1/db", tmp_path)


def test_a_file_that_is_something_else_is_refused(tmp_path):
    foreign = tmp_path / "notes"
    foreign.write_text("not a database at all, but long enough for one\n" * 40)
    with pytest.raises(WorkError, match=r"notes: file is not a database"):
        open_storage(f"sqlite:///{foreign}", tmp_path)
    with pytest.raises(WorkError, match=r"notes: no journal of Optuna"):
        open_storage(f"journal://{foreign}", tmp_path)


def test_a_shared_disk_that_is_not_mounted_is_not_made_up(tmp_path):
    with pytest.raises(WorkError, match=r"no folder .*/disk; mount"):
        open_storage(f"journal://{tmp_path}/disk/j.log", tmp_path)
    assert not (tmp_path / "disk").exists()


def test_a_database_of_another_version_of_optuna_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    close_storage(open_storage(url, tmp_path))
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9.9.9.a'")
    connection.close()
    with pytest.raises(WorkError, match=r"s.db: .*no longer compatible"):
        open_storage(url, tmp_path)


def _open(url, root):
    os._exit(0 if open_storage(url, root) is not None else 1)


@both
def test_storages_opened_at_once_are_made_once(url, tmp_path):
    openers = [FORK.Process(target=_open, args=(url, tmp_path)) for _ in range(4)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    assert [opener.exitcode for opener in openers] == [0] * 4


@both
def test_a_study_begins_with_one_waiting_trial_a_slot(storage):
    plan = plan_of(6, first=({LAMBDA: 0.2},))
    study = create_study(plan, storage)
    trials = study.get_trials()
    assert {trial.state for trial in trials} == {optuna.trial.TrialState.WAITING}
    queued = [(t.user_attrs["slot"], t.user_attrs["kind"], t.system_attrs["fixed_params"])
            for t in trials]  # fmt: skip
    assert queued == [(slot.number, slot.kind, slot.values) for slot in planned_trials(plan)]
    assert plan_attributes(study) == plan.content
    assert study_names(storage) == ["digits/joint"]
    assert load_study("joint", "digits", storage).study_name == "digits/joint"


def test_created_again_it_goes_on(storage):
    create_study(plan_of(), storage)
    study = create_study(plan_of(), storage)
    assert len(study.trials) == 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"trials": 5}, r"study\.trials: 5, but the study was begun with 4"),
        ({"sampler": "tpe"}, r'study\.sampler: "tpe", but the study was begun with "random"'),
        ({"space": {LAMBDA: (0.25, 0.5)}}, r"study\.space\.guide\.pg\.similarity: null"),
    ],
)
def test_another_plan_is_refused_by_its_first_key(storage, changed, message):
    study = create_study(plan_of(), storage)
    with pytest.raises(ParamsError, match=message):
        create_study(plan_of(**changed), storage)
    with pytest.raises(ParamsError, match=message):
        check_plan(study, plan_of(**changed))
    assert len(study.trials) == 4


def test_a_budget_too_small_creates_nothing(storage):
    with pytest.raises(ParamsError, match="trials: 1"):
        create_study(plan_of(1, first=({LAMBDA: 0.2},)), storage)
    assert study_names(storage) == []


def test_a_creation_that_died_is_completed(storage, monkeypatch):
    plan = plan_of()
    monkeypatch.setattr(studies, "DESCRIBED_S", 0.05)
    monkeypatch.setattr(studies, "_describe", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        create_study(plan, storage)
    with pytest.raises(WorkError, match="without a plan"):
        plan_attributes(load_study("joint", "digits", storage))
    monkeypatch.undo()
    monkeypatch.setattr(studies, "DESCRIBED_S", 0.05)
    study = create_study(plan, storage)
    assert plan_attributes(study) == plan.content
    assert len(study.trials) == 4


def test_a_budget_that_was_queued_in_part_is_queued_whole(storage):
    plan = plan_of()
    study = create_study(plan, storage)
    half = optuna.create_study(study_name="half", storage=storage)
    half.add_trials(study.get_trials()[:2])
    queue_lost(half, planned_trials(plan))
    assert {slot: len(each) for slot, each in by_slot(half.trials).items()} == dict.fromkeys(
        range(4), 1
    )


@both
def test_an_unknown_study_is_named_with_the_known(storage):
    create_study(plan_of(), storage)
    with pytest.raises(WorkError, match=r"digits/other: .* has digits/joint; .*study run other"):
        load_study("other", "digits", storage)
    delete_study("joint", "digits", storage)
    with pytest.raises(WorkError, match=r"which has none"):
        delete_study("joint", "digits", storage)

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from synthgap.cli import main

RECORD = Path("mlruns/studies/digits/quick/run.json")
TUNE = Path("artifacts/tune/digits/run.json")


@pytest.fixture
def staged(ended) -> dict:
    """The finished study as the stage's, with a pruned and a failed trial."""
    record = json.loads(RECORD.read_text())
    record["study"]["name"] = "tune"
    rows = record["runs"]
    rows[5] |= {"state": "pruned"}
    rows[7] |= {"state": "failed", "reason": "loss is nan", "values": {}, "epochs": []}
    TUNE.parent.mkdir(parents=True)
    TUNE.write_text(json.dumps(record))
    return record


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def test_the_stages_study_is_rebuilt_from_its_record_once(staged):
    from synthgap.studies.dashboard import bring
    from synthgap.studies.storage import open_storage

    storage = open_storage(None, Path.cwd())
    assert bring(staged, storage)
    assert not bring(staged, storage)
    [tune] = [one for one in storage.get_all_studies() if one.study_name == "digits/tune"]
    trials = storage.get_all_trials(tune._study_id)
    rows = [row for row in staged["runs"] if row["kind"] != "final"]
    states = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
    assert [trial.state.name for trial in trials] == [states[row["state"]] for row in rows]
    assert [trial.params for trial in trials] == [row["tuned"] for row in rows]
    assert trials[0].values == [rows[0]["values"]["val/top1"]]
    assert [trial.user_attrs["kind"] for trial in trials] == [row["kind"] for row in rows]
    assert trials[0].intermediate_values == {
        epoch["epoch"]: epoch["val/top1"] for epoch in rows[0]["epochs"]
    }


def test_a_changed_record_replaces_the_study_and_no_other(staged):
    from synthgap.studies.dashboard import bring
    from synthgap.studies.storage import open_storage, study_names

    storage = open_storage(None, Path.cwd())
    bring(staged, storage)
    staged["runs"][0]["values"]["val/top1"] = 12.5
    assert bring(staged, storage)
    assert study_names(storage) == ["digits/quick", "digits/tune"]
    [tune] = [one for one in storage.get_all_studies() if one.study_name == "digits/tune"]
    assert storage.get_all_trials(tune._study_id)[0].values == [12.5]


def test_the_dashboard_serves_this_machine_alone_and_names_the_storage(staged, capsys, monkeypatch):
    import optuna_dashboard

    served = []
    monkeypatch.setattr(
        optuna_dashboard, "run_server", lambda storage, **where: served.append((storage, where))
    )
    assert main(["study", "dashboard", "--port", "8099"]) == 0
    text = capsys.readouterr().out
    assert f"{TUNE} is in sqlite:///" in text
    assert "http://127.0.0.1:8099/" in text
    [(storage, where)] = served
    assert where == {"host": "127.0.0.1", "port": 8099}
    assert len(storage.get_all_studies()) == 2
    assert main(["study", "dashboard"]) == 0
    assert "is in sqlite" not in capsys.readouterr().out


def test_a_taken_port_is_one_line(ended, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["study", "dashboard", "--port", port]) == 1
    line = capsys.readouterr().err
    assert "--port" in line
    assert line.count("\n") == 1


def test_the_stages_study_is_none_that_can_be_worked_on(staged, capsys):
    from synthgap.studies.dashboard import bring
    from synthgap.studies.storage import open_storage

    bring(staged, open_storage(None, Path.cwd()))
    for command in (["resume", "tune"], ["work", "--study", "tune"], ["run", "tune"]):
        assert main(["study", *command]) == 1
        assert "`dvc repro tune` makes" in capsys.readouterr().err
    assert main(["study", "status"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "study", "tune", "quick"
    ]  # fmt: skip


@pytest.mark.slow
def test_a_real_dashboard_lists_the_studies(staged):
    port = free_port()
    command = [sys.executable, "-m", "synthgap", "study", "dashboard", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        answer = _asked(f"http://127.0.0.1:{port}/api/studies", server)
    finally:
        server.terminate()
        server.wait(timeout=30)
    names = {study["study_name"] for study in json.loads(answer)["study_summaries"]}
    assert names == {"digits/quick", "digits/tune"}


def _asked(url: str, server: subprocess.Popen) -> bytes:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
                return answer.read()
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"no answer from {url}")

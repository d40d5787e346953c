"""A log line costs a training nothing, whatever happens."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_cells import record

from synthgap.tracking.live_log import open_log
from synthgap.tracking.spool import live_folder, spool_of, times_path

pytestmark = pytest.mark.usefixtures("quiet")


def start_of(run: dict) -> dict:
    return {"event": "start", "run": run, "inputs": {}, "params": {}}


def test_lines_are_stamped_and_a_start_says_where_and_from_which_commit(tmp_path: Path):
    log = open_log(tmp_path)
    log("abc", start_of(record("train", "train s0")))
    log("abc", {"event": "epoch", "metrics": {"epoch": 1, "train/loss": 2.0}})
    (start, epoch), _ = spool_of(tmp_path, "abc").unread(0)
    assert start["pid"] == epoch["pid"] == os.getpid()
    assert start["time"] <= epoch["time"]
    assert start["host"]
    assert start["commit"] is None  # not a git checkout
    assert epoch["metrics"] == {"epoch": 1, "train/loss": 2.0}


def test_the_commit_is_the_checkouts_and_says_when_files_differ(tmp_path: Path):
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    (tmp_path / "file").write_text("1")
    for command in (["init", "-q"], ["add", "file"], [*identity, "commit", "-qm", "one"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, env=environment)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.strip()
    (tmp_path / "file").write_text("2")
    open_log(tmp_path)("abc", start_of(record("train", "train s0")))
    (start,), _ = spool_of(tmp_path, "abc").unread(0)
    assert start["commit"] == f"{head}-dirty"


def test_a_log_that_cannot_write_complains_once_and_never_raises(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    (tmp_path / ".synthgap").write_text("in the way")
    log = open_log(tmp_path)
    for number in range(3):
        log("abc", {"event": "epoch", "metrics": {"epoch": number}})
    output = capsys.readouterr().err
    assert output.count("a log line could not be kept") == 1
    assert "synthgap mirror" in output


def test_forked_processes_do_not_mix_their_letters(tmp_path: Path):
    log = open_log(tmp_path)
    children = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            for number in range(25):
                log("abc", {"event": "epoch", "metrics": {"epoch": number, "child": child}})
            os._exit(0)
        children.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
    events, _ = spool_of(tmp_path, "abc").unread(0)
    logged = {(event["metrics"]["child"], event["metrics"]["epoch"]) for event in events}
    assert logged == {(child, number) for child in range(4) for number in range(25)}


def test_wall_times_are_kept_beside_the_outputs_also_over_a_resumption(tmp_path: Path):
    log = open_log(tmp_path)
    run = record("train", "train s0")
    log("abc", start_of(run))
    log("abc", {"event": "epoch", "metrics": {"epoch": 1}})
    log("abc", start_of(run))
    log("abc", {"event": "epoch", "metrics": {"epoch": 2}})
    log("abc", {"event": "end", "status": "FINISHED"})
    times = json.loads(times_path(tmp_path, "abc").read_text())
    assert times["resumed"] == 1
    assert times["status"] == "FINISHED"
    assert times["start"] <= times["epochs"]["1"] <= times["epochs"]["2"] <= times["end"]


def test_switched_off_it_starts_no_process(tmp_path: Path):
    open_log(tmp_path)("abc", start_of(record("train", "train s0")))
    assert not (live_folder(tmp_path) / "starting").exists()
    assert not (live_folder(tmp_path) / "sender.log").exists()


def test_a_training_never_imports_mlflow():
    code = (
        "import sys, synthgap, synthgap.tracking.live_log\n"
        "heavy = {'mlflow', 'torch', 'pandas', 'yaml', 'psutil'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

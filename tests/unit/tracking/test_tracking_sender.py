"""What trainings write reaches MLflow, now or later, once."""

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_cells import hexed, inputs_of, params_of, record, write_cell
from seen import child_runs, history, parent_runs

from synthgap.tracking.live_log import open_log
from synthgap.tracking.mirror import mirror
from synthgap.tracking.outbox import Outbox
from synthgap.tracking.sender import serve
from synthgap.tracking.spool import live_folder, sender_lock, spool_of, spools
from synthgap.tracking.store import TrackingStore, open_store

pytestmark = pytest.mark.filterwarnings("ignore:.*noload:DeprecationWarning")
RUN = record("transfer", "synthetic->real n3 s0", depth=3, direction="synthetic->real")


def start_event(run: dict) -> dict:
    about = {name: value for name, value in run.items() if name not in ("epochs", "last")}
    params = params_of(run["experiment"])
    return {"event": "start", "run": about, "inputs": inputs_of(), "params": params}


def tell(root: Path, run: dict, *, epochs: slice = slice(None), end: str | None = None) -> None:
    log = open_log(root)
    log(run["digest"], start_event(run))
    for epoch in run["epochs"][epochs]:
        log(run["digest"], {"event": "epoch", "metrics": epoch})
    if end:
        log(run["digest"], {"event": "end", "status": end})


def send(root: Path) -> int:
    """One pass over what is there; `serve` would stay as long as a run's process lives."""
    with sender_lock(root, wait_s=10):
        return Outbox(open_store(root)).send()


def killed_writer(root: Path, run: dict) -> None:
    """Tell the first two epochs from a process of its own, then kill that process."""
    code = (
        "import json, sys, time\n"
        "from pathlib import Path\n"
        "from synthgap.tracking.live_log import open_log\n"
        "digest, events = json.loads(sys.stdin.read())\n"
        "log = open_log(Path(sys.argv[1]))\n"
        "[log(digest, event) for event in events]\n"
        "print('told', flush=True)\n"
        "time.sleep(600)\n"
    )
    events = [start_event(run)]
    events += [{"event": "epoch", "metrics": epoch} for epoch in run["epochs"][:2]]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        writer.stdin.write(json.dumps([run["digest"], events]))
        writer.stdin.close()
        assert writer.stdout.readline() == "told\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_run_arrives_with_everything_a_person_filters_by(store: TrackingStore):
    tell(store.root, RUN, end="FINISHED")
    assert serve(store.root, idle_s=0.05, poll_s=0.01) == 2 + len(RUN["epochs"])
    (run,) = child_runs(store)
    (parent,) = parent_runs(store)
    assert run.info.run_name == RUN["name"]
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.data.tags["depth"] == "3"
    assert run.data.tags["direction"] == "synthetic->real"
    assert run.data.params["training.local_crops.count"] == "8"
    assert run.data.params["student"] == "resnet10t"
    assert run.data.params["real_labels.student"] == "600"
    logged = [(epoch["epoch"], epoch["test/top1"]) for epoch in RUN["epochs"]]
    assert history(store, run, "test/top1") == logged
    assert history(store, run, "system/cpu_utilization_percentage")
    assert history(store, run, "system/system_memory_usage_megabytes")
    assert history(store, run, "system/process_memory_megabytes")  # of this process, which lives
    assert spools(store.root) == []


def test_datasets_carry_dvcs_digests_and_ours_in_full(store: TrackingStore):
    tell(store.root, RUN, end="FINISHED")
    send(store.root)
    (run,) = child_runs(store)
    found = {entry.dataset.name: entry for entry in run.inputs.dataset_inputs}
    contexts = {
        name: next(tag.value for tag in entry.tags if tag.key == "mlflow.data.context")
        for name, entry in found.items()
    }
    assert contexts == {
        "digits/train": "training",
        "digits/val": "evaluation",
        "digits/test": "evaluation",
    }
    assert found["digits/train"].dataset.digest == f"{hexed('train')[:32]}.dir"
    assert found["digits/val"].dataset.digest == hexed("val")[:36]  # not in dvc.lock
    tags = {tag.key: tag.value for tag in found["digits/train"].tags}
    assert tags["synthgap.digest"] == hexed("train")


def test_lines_that_come_later_join_the_same_run(store: TrackingStore):
    tell(store.root, RUN, epochs=slice(0, 1))
    send(store.root)
    log = open_log(store.root)
    for epoch in RUN["epochs"][1:]:
        log(RUN["digest"], {"event": "epoch", "metrics": epoch})
    log(RUN["digest"], {"event": "end", "status": "FAILED"})
    send(store.root)
    (run,) = child_runs(store)
    assert run.info.status == "FAILED"
    assert [step for step, _ in history(store, run, "test/top1")] == [1, 2, 3, 4]


def test_a_killed_run_says_so_and_its_resumption_goes_on_in_it(store: TrackingStore):
    killed_writer(store.root, RUN)
    serve(store.root, idle_s=0.05, poll_s=0.01)
    (killed,) = child_runs(store)
    assert killed.info.status == "KILLED"
    tell(store.root, RUN, epochs=slice(1, 4), end="FINISHED")  # epoch 2 was lost and is repeated
    send(store.root)
    (run,) = child_runs(store)
    assert run.info.run_id == killed.info.run_id
    assert run.info.status == "FINISHED"
    assert [step for step, _ in history(store, run, "test/top1")] == [1, 2, 3, 4]


def test_the_mirror_replaces_what_a_killed_run_left_half_logged(store: TrackingStore):
    killed_writer(store.root, RUN)
    send(store.root)
    write_cell(store.root, [RUN], 3)
    report = mirror(store.root)
    assert report.runs == {"replaced": 1}
    (run,) = child_runs(store)
    assert run.info.status == "FINISHED"
    assert [step for step, _ in history(store, run, "test/top1")] == [1, 2, 3, 4]
    assert spools(store.root) == []
    assert mirror(store.root).runs == {"left": 1}


def test_a_run_that_lives_is_left_to_its_training(store: TrackingStore):
    write_cell(store.root, [RUN], 3)
    tell(store.root, RUN, epochs=slice(0, 1))
    assert mirror(store.root).runs == {"running": 1}
    (run,) = child_runs(store)
    assert run.info.status == "RUNNING"


def test_a_dead_server_loses_nothing(store: TrackingStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port()}")
    tell(store.root, RUN, end="FINISHED")
    assert serve(store.root, idle_s=0.05, poll_s=0.01) == 0
    assert spool_of(store.root, RUN["digest"]).has_news
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert send(store.root) == 2 + len(RUN["epochs"])
    (run,) = child_runs(store)
    assert len(history(store, run, "test/top1")) == len(RUN["epochs"])


def test_a_lost_store_gets_a_running_run_from_the_start(store: TrackingStore):
    tell(store.root, RUN, epochs=slice(0, 2))
    send(store.root)
    with sqlite3.connect(store.root / "mlruns/mlflow.db") as database:
        for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
            database.execute(f"DELETE FROM {table}")  # noqa: S608 - our own table names
    database.close()
    log = open_log(store.root)
    log(RUN["digest"], {"event": "epoch", "metrics": RUN["epochs"][2]})
    send(store.root)  # finds the run gone, and
    send(store.root)  # begins anew
    (run,) = child_runs(store)
    assert [step for step, _ in history(store, run, "test/top1")] == [1, 2, 3]


def test_another_store_gets_a_running_run_from_the_start(
    store: TrackingStore, tables: Path, monkeypatch: pytest.MonkeyPatch
):
    tell(store.root, RUN, epochs=slice(0, 2))
    send(store.root)
    shutil.copytree(tables, store.root / "elsewhere")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store.root}/elsewhere/mlflow.db")
    log = open_log(store.root)
    log(RUN["digest"], {"event": "epoch", "metrics": RUN["epochs"][2]})
    send(store.root)
    other = open_store(store.root)
    (run,) = child_runs(other)
    assert [step for step, _ in history(other, run, "test/top1")] == [1, 2, 3]


def test_lines_that_mlflow_refuses_do_not_hold_up_the_others(store: TrackingStore):
    bad = record("transfer", "bad name", depth=1, direction="synthetic->real")
    bad["epochs"] = [{"epoch": 1, "no|such*name": 1.0}]
    tell(store.root, bad, end="FINISHED")
    tell(store.root, RUN, end="FINISHED")
    send(store.root)
    names = {run.info.run_name: run.info.status for run in child_runs(store)}
    assert names[RUN["name"]] == "FINISHED"
    assert [path.stem for path in live_folder(store.root).glob("*.refused")] == [bad["digest"]]


def test_one_detached_process_serves_many_writers(
    store: TrackingStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("SYNTHGAP_TRACKING")
    second = record("transfer", "real->synthetic n3 s0", depth=3, direction="real->synthetic")
    tell(store.root, RUN, end="FINISHED")
    tell(store.root, second, end="FINISHED")
    deadline = time.monotonic() + 120
    while spools(store.root) and time.monotonic() < deadline:
        time.sleep(0.1)
    log = (live_folder(store.root) / "sender.log").read_text()
    assert not spools(store.root), log
    with sender_lock(store.root, wait_s=60, hurry=True) as held:
        assert held
    assert {run.info.status for run in child_runs(store)} == {"FINISHED"}
    assert len(child_runs(store)) == 2
    assert len(parent_runs(store)) == 1
    assert "Traceback" not in log

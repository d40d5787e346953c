"""MLflow says what the outputs say, however often it is sent."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from fake_cells import hexed, record, transfer_runs, write_cell
from seen import all_runs, artifacts, child_runs, history, parent_runs

from synthgap.errors import TrackingError
from synthgap.tracking.live_log import open_log
from synthgap.tracking.mirror import mirror
from synthgap.tracking.store import TrackingStore, open_store

pytestmark = pytest.mark.filterwarnings("ignore:.*noload:DeprecationWarning")


def parent_named(store: TrackingStore, name: str):
    (parent,) = [run for run in parent_runs(store) if run.info.run_name == name]
    return parent


def test_a_fresh_store_gets_every_run_once_and_a_second_mirror_nothing(store: TrackingStore):
    for depth in (1, 2):
        write_cell(store.root, transfer_runs(depth), depth)
    write_cell(store.root, [record("train", "train s0")], "train")
    assert mirror(store.root).runs == {"created": 9}
    before = {run.info.run_id for run in all_runs(store)}
    assert len(before) == 9 + 2
    assert mirror(store.root).runs == {"left": 9}
    assert {run.info.run_id for run in all_runs(store)} == before


def test_a_restored_run_has_its_curves_summary_pictures_and_record(store: TrackingStore):
    runs = transfer_runs(3, seeds=(0,))
    folder = write_cell(store.root, runs, 3)
    mirror(store.root)
    (run,) = [one for one in child_runs(store) if one.info.run_name == runs[0]["name"]]
    assert history(store, run, "test/top1") == [
        (epoch["epoch"], epoch["test/top1"]) for epoch in runs[0]["epochs"]
    ]
    assert run.data.metrics["last/test_top1"] == runs[0]["last"]["test/top1"]["mean"]
    assert run.data.metrics["last/test_top1_std"] == 0.2
    assert artifacts(store, run) == ["run.json", "samples.png"]
    place = store.root / "mlruns/artifacts" / run.info.run_id / "artifacts"
    assert json.loads((place / "run.json").read_text())["runs"] == [runs[0]]
    assert (place / "samples.png").read_bytes() == (folder / "samples.png").read_bytes()


def test_the_parents_chart_is_accuracy_against_depth(store: TrackingStore):
    for depth in (1, 2, 3):
        write_cell(store.root, transfer_runs(depth), depth)
    mirror(store.root)
    parent = parent_named(store, "transfer")
    points = dict(history(store, parent, "accuracy/synthetic_to_real"))
    assert points == pytest.approx({1: 97.95, 2: 97.45, 3: 96.95})  # mean of two seeds
    assert [step for step, _ in history(store, parent, "accuracy/real_to_synthetic")] == [1, 2, 3]
    assert "depth" in parent.data.tags["mlflow.note.content"]


def test_reduced_labels_stand_at_one_over_their_fraction(store: TrackingStore):
    for denominator in (1, 4):
        runs = [
            record(
                "reduce", f"1/{denominator} n3", arm="prefix", depth=3, fraction=1 / denominator,
                donor_set="g2.0", direction="synthetic->real", accuracy=90 - denominator,
            )
        ]  # fmt: skip
        write_cell(store.root, runs, denominator, 3)
    mirror(store.root)
    parent = parent_named(store, "reduce")
    assert history(store, parent, "accuracy/prefix_n3") == [(1, 89.0), (4, 86.0)]


def test_a_new_depth_joins_the_curve_that_is_there(store: TrackingStore):
    write_cell(store.root, transfer_runs(1), 1)
    mirror(store.root)
    before = parent_named(store, "transfer")
    write_cell(store.root, transfer_runs(2), 2)
    assert mirror(store.root).runs == {"left": 4, "created": 4}
    after = parent_named(store, "transfer")
    assert after.info.run_id == before.info.run_id
    assert [step for step, _ in history(store, after, "accuracy/real_to_synthetic")] == [1, 2]


def test_other_results_of_a_run_replace_it_and_start_a_new_curve(store: TrackingStore):
    write_cell(store.root, transfer_runs(1), 1)
    write_cell(store.root, transfer_runs(2), 2)
    mirror(store.root)
    write_cell(store.root, transfer_runs(1, shift=-5.0), 1)
    assert mirror(store.root).runs == {"left": 4, "replaced": 4}
    assert len(child_runs(store)) == 8
    parent = parent_named(store, "transfer")
    curve = history(store, parent, "accuracy/synthetic_to_real")
    assert curve == [(1, 92.95), (2, 97.45)]
    assert {run.data.tags["mlflow.parentRunId"] for run in child_runs(store)} == {
        parent.info.run_id
    }
    assert mirror(store.root).runs == {"left": 8}


def test_doubles_are_removed(store: TrackingStore):
    write_cell(store.root, [record("train", "train s0")], "train")
    mirror(store.root)
    (run,) = child_runs(store)
    tags = dict(run.data.tags)
    store.client.create_run(run.info.experiment_id, tags=tags)
    mirror(store.root)
    (kept,) = child_runs(store)
    assert kept.info.run_id == run.info.run_id


def test_children_find_a_new_parent_when_theirs_was_deleted(store: TrackingStore):
    write_cell(store.root, transfer_runs(1), 1)
    mirror(store.root)
    store.client.delete_run(parent_named(store, "transfer").info.run_id)
    assert mirror(store.root).runs == {"left": 4}
    parent = parent_named(store, "transfer")
    assert {run.data.tags["mlflow.parentRunId"] for run in child_runs(store)} == {
        parent.info.run_id
    }


def test_a_run_that_was_logged_live_is_completed_and_keeps_its_times(store: TrackingStore):
    run = record("train", "train s0")
    about = {name: value for name, value in run.items() if name not in ("epochs", "last")}
    params = json.loads((write_cell(store.root, [run], "train") / "run.json").read_text())["params"]
    log = open_log(store.root)
    log(run["digest"], {"event": "start", "run": about, "inputs": {}, "params": params})
    for epoch in run["epochs"]:
        log(run["digest"], {"event": "epoch", "metrics": epoch})
    log(run["digest"], {"event": "end", "status": "FINISHED"})
    assert mirror(store.root).runs == {"completed": 1}
    (seen,) = child_runs(store)
    (parent,) = parent_runs(store)
    assert "last/test_top1" in seen.data.metrics
    assert "synthgap.times" not in seen.data.tags
    assert [step for step, _ in history(store, seen, "test/top1")] == [1, 2, 3, 4]
    assert parent.info.status == "FINISHED"
    store.client.delete_run(seen.info.run_id)
    mirror(store.root)  # from files alone, but .synthgap/times remembers when
    (again,) = child_runs(store)
    assert again.info.start_time == seen.info.start_time
    assert again.info.end_time == seen.info.end_time


def test_without_wall_times_the_run_says_so(store: TrackingStore):
    write_cell(store.root, [record("train", "train s0")], "train")
    mirror(store.root)
    (run,) = child_runs(store)
    assert "unknown" in run.data.tags["synthgap.times"]


def test_the_generators_losses_are_shown_too(store: TrackingStore):
    run = {
        "digest": hexed("generator"), "name": "generator", "experiment": "generator",
        "recipe": "digits", "seed": 1, "num_images": 700, "num_steps": 20, "last": {},
        "epochs": [{"epoch": 10, "denoiser/loss": 1.0}, {"epoch": 20, "denoiser/loss": 0.5}],
    }  # fmt: skip
    write_cell(store.root, [run])
    mirror(store.root)
    (seen,) = child_runs(store)
    assert history(store, seen, "denoiser/loss") == [(10, 1.0), (20, 0.5)]


def test_the_command_restores_a_store_in_a_fresh_folder(
    store: TrackingStore, tables: Path, tmp_path: Path
):
    write_cell(store.root, transfer_runs(1), 1)
    moved = tmp_path / "moved"
    shutil.copytree(store.root, moved, ignore=shutil.ignore_patterns("mlruns", ".synthgap"))
    shutil.copytree(tables, moved / "mlruns")
    code = "from synthgap.tracking.mirror import mirror; from pathlib import Path; "
    code += "print('\\n'.join(mirror(Path.cwd()).lines()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=moved, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "4 runs (4 created)" in done.stdout
    assert done.stderr == ""
    assert len(child_runs(open_store(moved))) == 4


def test_a_dead_server_is_one_line_about_the_next_step(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{port}")
    write_cell(checkout, transfer_runs(1), 1)
    with pytest.raises(TrackingError, match="start the MLflow server") as caught:
        mirror(checkout)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert os.environ["MLFLOW_TRACKING_URI"].startswith("http://user")


def test_a_damaged_record_is_named(checkout: Path):
    folder = write_cell(checkout, transfer_runs(1), 1)
    (folder / "run.json").write_text("{")
    with pytest.raises(TrackingError, match=r"transfer/digits/1/run\.json"):
        mirror(checkout)

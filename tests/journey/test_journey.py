"""Every stage, tiny, as a newcomer would run them; what a person does next; what goes wrong."""

import json
import os
import shutil
import signal
import sys
import time

import pandas as pd
import pytest
import torch
import yaml
from journey_lines import ran
from safetensors.torch import load_file

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(clone_into, tmp_path_factory):
    made = clone_into(tmp_path_factory.mktemp("journey"))
    made.repro()
    return made


def test_the_report_answers_in_one_line_of_pandas(clone):
    summary = clone.root / "artifacts" / "report" / "summary.json"
    rows = pd.DataFrame(json.loads(summary.read_text()))
    rows = rows[rows.over == "seeds"]
    top = rows[(rows.metric == "test/top1") & (rows.experiment == "train")]
    assert sorted(top["set"]) == ["corpus", "g2.0", "train"]
    assert top["mean"].between(0, 100).all()
    assert set(rows[rows.experiment == "transfer"].direction) == {
        "synthetic->real",
        "real->synthetic",
    }
    assert set(rows[rows.experiment == "control"].direction) == {
        "real->real",
        "synthetic->synthetic",
    }
    assert set(rows[rows.experiment == "ablate"].ablation) == {"oracle", "supervision"}
    page = (clone.root / "artifacts" / "report" / "index.html").read_text()
    assert "digits" in page
    assert "://" not in page.split("<body", 1)[1].replace("http://www.w3.org", "")


def test_a_second_repro_does_nothing(clone):
    before = clone.locked()
    assert ran(clone.dvc("repro")) == []  # a process of DVC's own, as a person starts it
    assert clone.locked() == before


def test_a_second_clone_gives_the_same_digests(clone, clone_into, tmp_path):
    second = clone_into(tmp_path)
    second.dvc("repro", "synthesize@digits-g2.0")  # stages in processes of their own: cold is warm
    shutil.copytree(clone.root / "artifacts/validate", second.root / "artifacts/validate")
    second.dvc("repro", "-s", "train@digits-g2.0")  # alone: what it reads is the same
    theirs = second.locked()
    assert {"artifacts/generator/digits", "artifacts/train/digits/g2.0"} <= set(theirs)
    ours = clone.locked()
    assert {path: ours[path] for path in theirs} == theirs


def test_transfer_at_depth_0_is_training_from_scratch(clone):
    done = clone.run(sys.executable, "pipelines/transfer.py", "--depth", "0")
    assert done.returncode == 0
    moved, scratch = (
        json.loads((clone.root / "artifacts" / path / "run.json").read_text())["runs"]
        for path in ("transfer/digits/0", "train/digits/train")
    )
    (relearned,) = (run for run in moved if run["direction"] == "synthetic->real")
    (trained,) = (run for run in scratch if run["seed"] == relearned["seed"])
    unprobed = [
        {name: value for name, value in epoch.items() if not name.startswith("probe/")}
        for epoch in trained["epochs"]
    ]
    assert relearned["epochs"] == unprobed


def test_mirror_restores_a_lost_store_without_doubles(clone):
    import sqlite3

    def runs():
        with sqlite3.connect(clone.root / "mlruns" / "mlflow.db") as store:
            query = (
                "select count(*), count(distinct value) from tags join runs using (run_uuid) "
                "where key='synthgap.digest' and lifecycle_stage='active'"
            )
            return store.execute(query).fetchone()

    clone.run(sys.executable, "-m", "synthgap", "mirror")
    first = runs()
    assert first[0] == first[1] > 10
    clone.run(sys.executable, "-m", "synthgap", "mirror")
    assert runs() == first


def test_applying_what_tuning_found_does_not_tune_again(clone):
    record = json.loads((clone.root / "artifacts/tune/digits/run.json").read_text())
    assert record["study"]["counts"]["complete"] + record["study"]["counts"]["pruned"] == 3
    assert len(record["study"]["verdict"]["seeds"]) == 2
    path = clone.root / "params.yaml"
    before = path.read_text()
    clone.run(sys.executable, "-m", "synthgap", "study", "apply", "tune")
    params, tuned = yaml.safe_load(path.read_text()), record["study"]["winner"]["tuned"]
    assert params["guide"]["augmentation"] == tuned["guide.augmentation"]
    named = f"g{tuned['guide.image_set.guidance_scale']}"
    assert params["guide"]["image_set"] == named
    assert named in params["grid"]["synthetic_sets"]
    assert ran(clone.repro("-s", "tune@digits")) == []
    path.write_text(before)


def test_one_more_depth_fraction_and_scale_run_one_new_thing_each(clone):
    sets = ["train", "corpus", "g2.0", "g4.0"]
    more = {"depths": [2, 3], "fractions": [1, 4, 8]}
    synthetic = ["g2.0", "dit-g2.0", "g4.0"]
    clone.set_params({"grid": {**more, "sets": sets, "synthetic_sets": synthetic}})
    done = clone.repro()
    depth = {"transfer@digits-3", "register@digits"}
    fraction = {"reduce@digits-8"}
    judged = {"fidelity@digits", "validate@digits", "gap@digits"}  # over all sets
    scale = {"synthesize@digits-g4.0", *judged, "train@digits-g4.0"}
    assert set(ran(done)) == {*depth, *fraction, *scale, "summarise@digits", "report"}
    assert (clone.root / "artifacts/register/digits/resnet10t-synthetic/n3").is_dir()


def test_a_comment_reruns_the_stages_that_name_its_file_and_nothing_after_them(clone):
    """Code is in no output's bytes: what is made again is the same, and DVC stops there."""
    before = clone.locked()
    for name in ("training/loop.py", "models/units.py"):
        path = clone.root / "src" / "synthgap" / name
        path.write_text(path.read_text() + "\n# a comment\n")
    named = {
        stage
        for stage, about in yaml.safe_load((clone.root / "dvc.yaml").read_text())["stages"].items()
        if {"src/synthgap/training", "src/synthgap/models"} & set(about["deps"])
    }
    ran_again = {name.partition("@")[0] for name in ran(clone.repro("register@digits"))}
    assert {"judge", "train", "transfer", "register"} <= ran_again <= named
    assert not ran_again & {"settings", "ingest", "generator", "rivals", "validate"}
    after = clone.locked()
    assert {path: after[path] for path in before} == before


VICTIMS = {
    "stage": lambda group, stage: os.kill(stage, signal.SIGKILL),
    "dvc": lambda group, stage: os.kill(group.pid, signal.SIGKILL),
    "group": lambda group, stage: os.killpg(group.pid, signal.SIGKILL),
}
KILLS = [
    ("generator@digits", "generator.py", "artifacts/generator/digits", "dvc"),
    ("train@digits-g2.0", "train.py", "artifacts/train/digits/g2.0", "stage"),
    ("train@digits-g2.0", "train.py", "artifacts/train/digits/g2.0", "group"),
]


@pytest.mark.parametrize(("stage", "script", "output", "victim"), KILLS)
def test_kill_minus_9_then_repro_ends_with_the_same_digests(clone, stage, script, output, victim):
    digest = clone.locked()[output]
    work = clone.root / ".synthgap" / "work"
    command = [sys.executable, "-m", "dvc", "repro", "-s", "--force", "--no-run-cache", stage]
    group = clone.start(*command)
    while not _has_begun(work):
        assert group.poll() is None
        time.sleep(0.05)
    VICTIMS[victim](group, _process_of(script, clone.root))
    group.wait()
    done = clone.repro("-s", "--force", "--no-run-cache", stage)
    assert ran(done) == [stage]
    assert clone.locked()[output] == digest
    assert not list(work.glob("*/*"))


def _has_begun(work):
    """Whether the stage has work on disk that a rerun can go on from."""
    begun = [path for path in work.glob("*/**/*") if path.is_file() and path.suffix != ".partial"]
    return bool(begun)


def _process_of(script, root):
    """Pid of the python process of a stage of this clone (the parent of its workers)."""
    import psutil

    found = [
        process.pid
        for process in psutil.process_iter(["cmdline", "cwd"])
        if process.info["cwd"] == str(root)
        and any(part.endswith(script) for part in process.info["cmdline"] or [])
        and "python" in process.info["cmdline"][0]
    ]
    return min(found)


def test_two_processes_learn_what_one_learns(clone):
    """Group norm, 20 steps of one global batch, through `dvc repro` both times."""
    options = {"channels": [8, 8, 16, 16], "stem_width": 8, "norm_layer": "groupnorm1"}
    settings = {"epochs": 20, "batch_size": 120, "base_lr": 0.1, "last_epochs": 1}
    clone.set_params({"student": {"options": options}, "training": settings})
    forced = ("-s", "--force", "--no-run-cache", "settings@digits", "train@digits-train")
    folder = clone.root / "artifacts/train/digits/train"
    found = []
    for processes in (1, 2):
        clone.set_params({"runtime": {"processes": processes}})
        clone.repro(*forced)
        record = json.loads((folder / "run.json").read_text())
        assert record["environment"]["processes"] == processes
        losses = [epoch["train/loss"] for epoch in record["runs"][0]["epochs"]]
        found.append((losses, load_file(folder / "student-s0.safetensors")))
    (losses, weights), (others, their_weights) = found
    assert len(losses) == 20
    assert losses[-1] < losses[0]
    assert losses != others or any(not torch.equal(weights[n], their_weights[n]) for n in weights)
    assert losses == pytest.approx(others, rel=1e-5)
    for name, weight in weights.items():
        assert (weight - their_weights[name]).norm() <= 1e-5 * weight.norm(), name


def test_several_processes_fail_in_one_line(clone):
    clone.set_params({"runtime": {"processes": 2, "sync_batch_norm": True}})
    done = clone.run(sys.executable, "pipelines/train.py", "--image-set", "train", check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("synthgap: params.yaml, runtime.sync_batch_norm: true, but this is a")

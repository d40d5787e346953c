"""Killed stages, and stages of several processes, in a clone with no more than they need."""

import json
import os
import signal
import sys
import time

import pytest
import torch
from journey_lines import ran
from safetensors.torch import load_file

pytestmark = pytest.mark.slow
NEEDED = ("train@digits-train", "train@digits-g2.0")


@pytest.fixture(scope="module")
def clone(clone_into, tmp_path_factory):
    made = clone_into(tmp_path_factory.mktemp("interruption"))
    grid = {"synthetic_sets": ["g2.0"], "sets": ["train", "g2.0"], "clones": ["g2.0"]}
    made.set_params(
        {"grid": {**grid, "ablations": ["normalisation"]}, "clone": {"curve_sets": ["g2.0"]}}
    )
    made.repro(*NEEDED)
    return made


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

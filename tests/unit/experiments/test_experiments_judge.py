"""The judge learns from real images before the gate, is scored on val alone, survives a kill."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from experiments_world import CLASSES

from synthgap.data import ImageSet
from synthgap.errors import CheckpointError, DataError, ParamsError
from synthgap.experiments.judge import JudgeParams, make_judge
from synthgap.jobs import read_json, silent
from synthgap.models.build import build_student
from synthgap.models.checkpoint import save_state
from synthgap.models.judge import JudgeNetwork
from synthgap.params.sections import NetworkPin


def copied(prepared, root, **judge):
    """Its real sets alone: no test set, no verdicts."""
    world = replace(prepared, artifacts=replace(prepared.artifacts, root=root))
    for name in ("train", "val"):
        shutil.copytree(prepared.artifacts.image_set(name), world.artifacts.image_set(name))
    settings = {"kind": "train", "pin": None, "learns_from": "train", "seed": 0, **judge}
    return world.changed("judge", **settings).changed("runtime", checkpoint_every_epochs=1)


def make(world, log=silent):
    make_judge(world.sections(JudgeParams), world.artifacts, log)
    return world.artifacts.stage("judge")


@pytest.fixture(scope="module")
def made(prepared, tmp_path_factory):
    """Read only: a judge that was trained without interruption."""
    logged = []
    world = copied(prepared, tmp_path_factory.mktemp("judge"))
    return world, make(world, lambda digest, event: logged.append((digest, event))), logged


def test_it_knows_the_real_images_and_says_from_how_many_labels(made):
    world, folder, _ = made
    judge = JudgeNetwork.open(folder)
    train = ImageSet.read(world.artifacts.image_set("train"))
    assert (judge.classes, judge.real_labels) == (CLASSES, len(train))
    assert judge.probabilities(train.pixels(16)).shape == (len(train), len(CLASSES))


def test_its_run_is_recorded_and_told_as_other_trainings(made):
    world, folder, logged = made
    about = read_json(folder / "run.json")
    (run,) = about["runs"]
    assert (run["experiment"], run["set"], run["seed"]) == ("judge", "train", 0)
    assert [epoch["epoch"] for epoch in run["epochs"]] == [1, 2]
    assert set(about["inputs"]) == {
        world.artifacts.image_set(name).relative_to(world.artifacts.root).as_posix()
        for name in ("train", "val")
    }
    assert {digest for digest, _ in logged} == {run["digest"]}
    assert [event["event"] for _, event in logged] == ["start", "epoch", "epoch", "end"]


def test_it_is_scored_on_val_and_on_nothing_else(made):
    _, folder, _ = made
    last = read_json(folder / "run.json")["runs"][0]["last"]
    assert {name.partition("/")[0] for name in last} == {"train", "val"}


def test_its_scores_are_those_it_had_while_it_learned(made):
    world, folder, _ = made
    val = ImageSet.read(world.artifacts.image_set("val"))
    right = JudgeNetwork.open(folder).probabilities(val.pixels(16)).argmax(axis=1) == val.labels
    epochs = read_json(folder / "run.json")["runs"][0]["epochs"]
    assert 100 * right.mean() == pytest.approx(epochs[-1]["val/top1"])


def test_killed_after_an_epoch_it_ends_with_the_same_bytes(made, prepared, tmp_path):
    def killed(_digest, event):
        if event["event"] == "epoch" and event["metrics"]["epoch"] == 1:
            raise KeyboardInterrupt

    world = copied(prepared, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        make(world, killed)
    assert not world.artifacts.stage("judge").exists()
    (state,) = world.artifacts.work.rglob("state-*.pt")
    assert len(torch.load(state, weights_only=True)["epochs"]) == 1
    assert contents(make(world)) == contents(made[1])
    assert not list(world.artifacts.work.rglob("state-*.pt"))


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_without_val_it_is_not_scored(prepared, tmp_path):
    world = copied(prepared, tmp_path)
    keep_first(world.artifacts.image_set("val"), 0)
    last = read_json(make(world) / "run.json")["runs"][0]["last"]
    assert {name.partition("/")[0] for name in last} == {"train"}


def test_without_images_it_says_what_to_do(prepared, tmp_path):
    world = copied(prepared, tmp_path)
    keep_first(world.artifacts.image_set("train"), 0)
    with pytest.raises(DataError, match=r"judge\.learns_from: train"):
        make(world)


def keep_first(folder, count):
    import pyarrow.parquet as pq

    path = folder / "manifest.parquet"
    pq.write_table(pq.read_table(path).slice(0, count), path)


def pinned(prepared, root, num_classes=3):
    """A world whose judge is a linear network made elsewhere."""
    pin = NetworkPin("resnet10t", "elsewhere/judge.safetensors")
    world = copied(prepared, root, kind="pin", pin=pin)
    student = replace(prepared.params.student, options={}, head="linear")
    network = build_student(student, num_classes, seed=9)
    save_state(root / "elsewhere" / "judge", network.state_dict(), {})
    return world, network.eval()


def test_a_pinned_judge_is_the_network_that_was_given(prepared, tmp_path):
    world, network = pinned(prepared, tmp_path)
    judge = JudgeNetwork.open(make(world))
    val = ImageSet.read(world.artifacts.image_set("val")).pixels(16)
    mean, std = (np.array(network.pretrained_cfg[name], np.float32) for name in ("mean", "std"))
    seen = torch.from_numpy((val.astype(np.float32) / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = network(seen).softmax(dim=1).numpy()
    np.testing.assert_allclose(judge.probabilities(val), expected, rtol=1e-3, atol=1e-5)
    assert judge.real_labels is None
    assert read_json(world.artifacts.stage("judge") / "run.json")["runs"] == []


def test_a_pin_of_other_classes_or_without_file_is_refused(prepared, tmp_path):
    world, _ = pinned(prepared, tmp_path, num_classes=4)
    with pytest.raises(CheckpointError, match=r"judge\.pin, resnet10t, 3 classes.*do not fit"):
        make(world)
    (tmp_path / "elsewhere" / "judge.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="not safetensors"):
        make(world)
    (tmp_path / "elsewhere" / "judge.safetensors").unlink()
    with pytest.raises(ParamsError, match=r"judge\.pin\.weights: elsewhere"):
        make(world)

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from experiments_world import make_world

from synthgap.errors import GateError
from synthgap.experiments.clone import CloneParams, clone, plans_of
from synthgap.experiments.linear_probe import open_probe
from synthgap.experiments.runs.run import last_epochs
from synthgap.experiments.runs.sources import open_source
from synthgap.experiments.runs.spec import RunSettings
from synthgap.experiments.train import train
from synthgap.jobs import read_json, silent
from synthgap.training.checkpointing import EpochResult

LAST = "test/top1", "probe/top1"


@pytest.fixture(scope="module")
def own_shelf(tmp_path_factory, checkout):
    """A world of its own: stage `train` writes over the donors that other tests read."""
    return make_world(tmp_path_factory.mktemp("clones"), checkout)


@pytest.fixture
def world(own_shelf):
    return own_shelf.changed(
        "clone", seeds=(0,), curve_sets=("g2.0",), curve_shares=(0.25, 0.5, 1.0)
    )


@pytest.fixture
def plans(world):
    def of(name, world=world):
        return plans_of(world.sections(CloneParams), open_source(world.artifacts, name, 16))

    return of


def made(world, stage, name):
    return read_json(world.artifacts.cell(stage, name) / "run.json")["runs"]


def test_a_curve_is_of_the_first_images_of_each_class_and_nests(plans):
    quarter, half, whole = plans("g2.0")
    assert quarter.indices.tolist() == [0, 1, 8, 9, 16, 17]
    assert set(quarter.indices) < set(half.indices)
    assert whole.indices is None
    assert [plan.coordinates()["fraction"] for plan in (quarter, half, whole)] == [0.25, 0.5, 1.0]
    assert [plan.num_images for plan in (quarter, half, whole)] == [6, 12, 24]
    assert [plan.name for plan in (quarter, half, whole)] == [
        "g2.0 0.25 s0",
        "g2.0 0.5 s0",
        "g2.0 s0",
    ]


def test_a_part_is_learned_with_as_many_steps_as_the_whole(world):
    clone(world.sections(CloneParams), world.artifacts, silent, image_set="g2.0")
    steps = {run["fraction"]: run["num_steps"] for run in made(world, "clone", "g2.0")}
    assert len(set(steps.values())) == 1
    train(world.sections(RunSettings), world.artifacts, silent, image_set="g2.0")
    assert steps[1.0] == made(world, "train", "g2.0")[0]["num_steps"]


def test_of_real_images_each_seed_takes_its_own_nested_part(plans, world):
    other = world.changed("clone", seeds=(0, 1), curve_sets=("train",), curve_shares=(0.25, 0.5))
    first, second, larger, _ = plans("train", other)
    assert set(first.indices) < set(larger.indices)
    assert first.indices.tolist() != second.indices.tolist()
    assert np.bincount(first.source.images.labels[first.indices]).tolist() == [2, 2, 2]
    assert first.coordinates()["real_labels"]["student"] == 6


def test_a_whole_set_gives_the_student_that_stage_train_gives(world):
    clone(world.sections(CloneParams), world.artifacts, silent, image_set="g2.0")
    train(world.sections(RunSettings), world.artifacts, silent, image_set="g2.0")
    ours = next(run for run in made(world, "clone", "g2.0") if run["fraction"] == 1)
    theirs = made(world, "train", "g2.0")[0]
    assert ours["digest"] != theirs["digest"]
    assert ours["epochs"] == theirs["epochs"]
    assert ours["last"] == theirs["last"]


def test_a_record_says_the_setting_and_what_a_probe_cost(world):
    clone(world.sections(CloneParams), world.artifacts, silent, image_set="g2.0")
    record = read_json(world.artifacts.cell("clone", "g2.0") / "run.json")
    run = record["runs"][0]
    assert (run["generator"], run["scheme"], run["steps"]) == ("main", None, None)
    assert (run["guidance_scale"], run["num_images"]) == (2.0, 6)
    assert run["real_labels"] == {"generator": 24, "donor": 0, "student": 0}
    assert run["probe_labels"] == 24
    assert run["probe_strength"] > 0
    assert "artifacts/sets/digits/train" in record["inputs"]


def test_probes_are_in_the_last_epoch_and_in_the_predictions(world):
    clone(world.sections(CloneParams), world.artifacts, silent, image_set="g2.0")
    folder = world.artifacts.cell("clone", "g2.0")
    rows = pd.read_parquet(folder / "predictions.parquet")
    for run in made(world, "clone", "g2.0"):
        logged = run["last"]["probe/top1"]
        assert (logged["n"], logged["std"], logged["over"]) == (1, 0.0, "epochs")
        assert [epoch.get("probe/top1") for epoch in run["epochs"]] == [None, logged["mean"]]
        own = rows[rows["run"] == run["digest"]]
        assert 100 * (own["probe"] == own["label"]).mean() == pytest.approx(logged["mean"])
        assert logged["mean"] > 60  # brightness tells the three classes apart, for any features


def test_a_set_says_itself_how_it_was_made_and_a_name_fills_in(world):
    source = open_source(world.artifacts, "g2.0", 16)
    about = {**source.images.about, "scheme": "name", "steps": 25}
    logged = replace(source, images=replace(source.images, about=about))
    assert logged.setting == {"generator": "main", "scheme": "name", "steps": 25}
    named = replace(source, name="dit-g2.0-definition-s10-x4")
    assert named.setting == {"generator": "dit", "scheme": "definition", "steps": 10}
    assert set(open_source(world.artifacts, "train", 16).setting.values()) == {None}


def test_a_probe_learns_from_no_more_than_was_asked_for_by_classes(world):
    settings = world.sections(RunSettings)
    assert open_probe(settings, world.artifacts).num_labels == 24
    few = world.changed("train", probe_images=7).sections(RunSettings)
    found = open_probe(few, world.artifacts)
    assert np.bincount(found.source.images.labels[found.kept]).tolist() == [2, 2, 2]
    assert found.about != open_probe(settings, world.artifacts).about


def test_without_probes_a_run_says_none(world):
    bare = world.changed("train", probe_images=0)
    clone(bare.sections(CloneParams), bare.artifacts, silent, image_set="g2.0")
    for run in made(world, "clone", "g2.0"):
        assert run["probe_labels"] is None
        assert "probe/top1" not in run["last"]
    rows = pd.read_parquet(world.artifacts.cell("clone", "g2.0") / "predictions.parquet")
    assert rows["probe"].isna().all()


def test_nothing_is_cloned_that_the_gate_has_not_passed(plans):
    with pytest.raises(GateError, match=r"no passing verdict on .*test"):
        plans("test")


def test_what_was_measured_once_has_no_spread():
    epochs = [
        EpochResult(1, {"test/top1": 50.0}, {}),
        EpochResult(2, {"test/top1": 70.0, "probe/top1": 80.0}, {}),
    ]
    found = last_epochs(epochs, 2)
    assert [(found[name]["mean"], found[name]["std"], found[name]["n"]) for name in LAST] == [
        *((60.0, 10.0, 2), (80.0, 0.0, 1)),
    ]

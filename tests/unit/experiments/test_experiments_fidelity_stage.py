"""Stage `fidelity` on tiny sets of noise: copies, repetitions, sets without prompts or corpus."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from fidelity_world import CLASSES, HOW, PER_CLASS, make_world, params, write_judge, write_set
from PIL import Image
from safetensors.torch import save_file

from synthgap.data import ImageSet
from synthgap.errors import CheckpointError, DataError
from synthgap.experiments.fidelity.stage import fidelity
from synthgap.jobs import read_json, silent
from synthgap.models.build import timm_model
from synthgap.params.sections import NetworkPin

SETS = ("g2.0", "g7.5", "g1.0", "dit-g2.0")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("fidelity"))


@pytest.fixture(scope="module")
def logged():
    """Events of the log."""
    return []


@pytest.fixture(scope="module")
def found(artifacts, logged):
    fidelity(
        params(*SETS, oracle=True), artifacts, lambda digest, event: logged.append((digest, event))
    )
    return read_json(artifacts.stage("fidelity") / "fidelity.json")


def test_every_set_has_its_numbers_and_those_of_each_class(found, artifacts):
    assert found["order"] == [*SETS, "oracle"]
    assert found["classes"] == list(CLASSES)
    assert set(found["sets"]) == set(found["order"])
    for name, entry in found["sets"].items():
        assert entry["digest"] == ImageSet.read(artifacts.image_set(name)).digest
        assert set(entry["classes"]) == set(CLASSES)
        assert entry["num_images"] == 3 * PER_CLASS
        assert {"fid", "kid", "precision", "agreement", "clip_score"} <= set(entry["metrics"])
    assert found["feature_network"]["name"] == "the judge, trained on corpus"
    assert found["judge"]["real_labels"] == 36


def test_a_set_of_what_the_generator_saw_is_no_news(found):
    copies, others = (found["sets"][name]["metrics"] for name in ("g7.5", "g2.0"))
    assert copies["authenticity"] == 0 < others["authenticity"]
    reference = found["real"]["metrics"]  # corpus against train, which this set is
    for name in ("fid", "kid", "precision", "coverage", "separability", "vendi"):
        assert copies[name] == reference[name]
    assert found["real"]["what"] == "corpus against train"
    assert found["real"]["agreement_of"] == "train"


def test_one_image_again_and_again_is_as_diverse_as_one(found):
    same, other = (found["sets"][name] for name in ("g1.0", "g2.0"))
    for numbers in same["classes"].values():
        assert numbers["diversity"] == 0
        assert numbers["vendi"] == pytest.approx(1, abs=1e-4)
        assert numbers["separability"] > 75
    assert other["metrics"]["diversity"] == pytest.approx(1, abs=0.2)
    assert same["metrics"]["fid"] > other["metrics"]["fid"]
    assert same["metrics"]["recall"] < other["metrics"]["recall"]


def test_without_texts_there_is_no_clip_score(found):
    scores = {name: entry["metrics"]["clip_score"] for name, entry in found["sets"].items()}
    assert {name for name, value in scores.items() if value is None} == {"dit-g2.0", "oracle"}
    assert -1 <= found["sets"]["g2.0"]["metrics"]["clip_score_real"] <= 1
    assert found["sets"]["g2.0"]["worst"][0]["prompts"][0].startswith("a ")
    assert found["sets"]["dit-g2.0"]["worst"][0]["prompts"] == []


def test_the_worst_classes_come_first(found):
    entry = found["sets"]["g2.0"]
    order = [entry["classes"][worst["class"]]["agreement"] for worst in entry["worst"]]
    assert order == sorted(order)
    assert len(order) == len(CLASSES)


def test_sheets_show_every_class(found, artifacts):
    for entry in found["sets"].values():
        for name in entry["sheets"].values():
            with Image.open(artifacts.stage("fidelity") / name) as sheet:
                assert np.asarray(sheet.convert("L")).std() > 20
                assert sheet.height > 3 * 48


def test_run_json_holds_a_run_a_set_as_it_was_logged(found, artifacts, logged):
    written = read_json(artifacts.stage("fidelity") / "run.json")
    assert {"inputs", "params", "runs", "environment"} <= set(written)
    assert "code" not in written
    assert [run["set"] for run in written["runs"]] == [*SETS, "oracle", "corpus"]
    reference = written["runs"][-1]
    assert reference["epochs"][0]["fidelity/fid"] == found["real"]["metrics"]["fid"]
    assert reference["pictures"] == []
    run = written["runs"][0]
    assert run["guidance_scale"] == 2.0
    assert [epoch["epoch"] for epoch in run["epochs"]] == [0, 1, 2]  # one a class
    assert run["epochs"][0]["fidelity/fid"] == found["sets"]["g2.0"]["metrics"]["fid"]
    last = run["epochs"][-1]
    assert "fidelity/fid" not in last
    assert last["class/agreement"] == found["sets"]["g2.0"]["classes"]["mid"]["agreement"]
    mine = [event for digest, event in logged if digest == run["digest"]]
    assert [event["event"] for event in mine] == ["start", *["epoch"] * 3, "end"]
    assert [event["metrics"] for event in mine[1:-1]] == run["epochs"]
    assert all((artifacts.stage("fidelity") / name).is_file() for name in run["pictures"])


def test_nothing_of_val_and_test_is_read(found):
    read = {path.rpartition("/")[2] for path in found["inputs"]}
    assert not read & {"val", "test"}  # nor are there any in this world


def test_equal_inputs_give_equal_bytes_and_networks_are_asked_once(found, artifacts):
    folder = artifacts.stage("fidelity")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    kept = artifacts.root / ".synthgap" / "embeddings"
    ages = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    for path in folder.iterdir():
        path.unlink()
    fidelity(params(*SETS, oracle=True), artifacts, silent)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == ages


def test_without_corpus_train_is_halved_for_the_reference(tmp_path):
    artifacts = make_world(tmp_path)
    write_set(artifacts, "corpus", [])
    write_judge(artifacts, learned_from="train")
    fidelity(params("g2.0", how=replace(HOW, max_images=30)), artifacts, silent)
    found = json.loads((artifacts.stage("fidelity") / "fidelity.json").read_text())
    assert found["real"]["what"] == "one half of train against the other"
    assert (found["real"]["num_images"], found["real"]["num_against"]) == (15, 15)
    assert found["real"]["agreement_of"] is None  # the judge has learned from all there is
    assert found["real"]["metrics"]["agreement"] is None
    entry = found["sets"]["g2.0"]
    assert (entry["num_images"], entry["num_seen"]) == (36, 30)
    assert entry["metrics"]["authenticity"] is None


def test_another_networks_features_leave_agreement_to_the_judge(found, artifacts, tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = timm_model("test_resnet", {}, 5, place="").state_dict()
    save_file(state, tmp_path / "w.safetensors")
    how = replace(HOW, feature_network=NetworkPin("test_resnet", str(tmp_path / "w.safetensors")))
    shutil.copytree(artifacts.root / "artifacts", tmp_path / "artifacts")
    other = replace(artifacts, root=tmp_path)
    fidelity(params("g7.5", how=how), other, silent)
    content = read_json(other.stage("fidelity") / "fidelity.json")
    assert content["feature_network"]["name"] == "test_resnet, w.safetensors"
    ours, theirs = (one["sets"]["g7.5"]["metrics"] for one in (content, found))
    assert ours["fid"] != theirs["fid"]
    assert ours["authenticity"] == 0  # it is corpus by these features too
    for name in ("agreement", "confidence", "clip_score"):
        assert ours[name] == theirs[name]


def test_a_judge_of_other_classes_is_refused(artifacts, tmp_path):
    shutil.copytree(artifacts.root / "artifacts", tmp_path / "artifacts")
    other = replace(artifacts, root=tmp_path)
    write_judge(other, classes=("cat", "dog"))
    with pytest.raises(DataError, match="its 3 classes are not the 2 of the judge"):
        fidelity(params("g2.0"), other, silent)


def test_what_is_missing_is_named(tmp_path):
    artifacts = make_world(tmp_path)
    with pytest.raises(DataError, match=r"g3.0/manifest.parquet: missing"):
        fidelity(params("g3.0"), artifacts, silent)
    write_set(artifacts, "g3.0", [])
    with pytest.raises(DataError, match=r"g3.0: no images, expected some"):
        fidelity(params("g3.0"), artifacts, silent)
    with pytest.raises(DataError, match=r"36 images; expected more than the 99 neighbours"):
        fidelity(params("g2.0", how=replace(HOW, neighbours=99)), artifacts, silent)
    (artifacts.stage("judge") / "judge.json").unlink()
    with pytest.raises(CheckpointError, match=r"judge\.json: missing"):
        fidelity(params("g2.0"), artifacts, silent)

"""Stage `gap`: what it writes is what its parts say, and nothing is chosen by held-out images."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from gap_world import HOW, METRICS, make_gap_world, params_of
from PIL import Image

import synthgap.experiments.gap.stage as stage
from synthgap.data import ImageSet
from synthgap.errors import CheckpointError, DataError, GateError
from synthgap.experiments.gap.stage import gap, gap_cell
from synthgap.experiments.runs.features import TrainedStudent
from synthgap.jobs import read_json, silent, write_json

FILES = ("gap.json", "run.json", "low-g2.0.png", "high-g2.0.png", "predictions.parquet")


@pytest.fixture(scope="module")
def world(tmp_path_factory, checkout):
    return make_gap_world(tmp_path_factory.mktemp("gap"), checkout)


@pytest.fixture(scope="module")
def folder(world):
    gap(params_of(world), world.artifacts, silent)
    return world.artifacts.stage("gap")


@pytest.fixture(scope="module")
def found(folder):
    return read_json(folder / "gap.json")


@pytest.fixture
def own(tmp_path, checkout):
    """A world that a test may damage."""
    return make_gap_world(tmp_path, checkout)


def test_every_source_is_scored_by_every_source(found, world):
    assert set(found["cross"]) == set(HOW.sets)
    assert all(set(row) == set(HOW.sets) for row in found["cross"].values())
    image_set = ImageSet.read(world.artifacts.image_set("train"))
    images = stage.open_source(world.artifacts, "train", 16).labelled
    scores = []
    for seed in HOW.seeds:
        stem = world.artifacts.cell("train", "g2.0") / f"student-s{seed}"
        logits = TrainedStudent.open(stem, world.params.student, "cpu").view(images).logits
        scores.append(np.mean(logits.argmax(axis=1) == image_set.labels) * 100)
    estimate = found["cross"]["g2.0"]["train"]
    assert (estimate["mean"], estimate["n"], estimate["over"]) == (
        pytest.approx(np.mean(scores)),
        2,
        "seeds",
    )


def test_histograms_share_their_edges_and_count_every_image(found):
    pairs = found["cross_entropy"]["pairs"]
    named = {(pair["classifier"], pair["images"]) for pair in pairs}
    assert named == {(a, b) for a in HOW.sets for b in HOW.sets}
    for pair in pairs:
        assert len(pair["counts"]) == HOW.bins == len(found["cross_entropy"]["edges"]) - 1
        assert sum(pair["counts"]) == 24 == found["num_images"][pair["images"]]
        assert pair["quantiles"]["0.25"] <= pair["median"] <= pair["quantiles"]["0.75"]


def test_curves_appearance_content_and_quality_are_recorded(found):
    assert found["saturation"]["train"]["saturated"]["mean"] == 3
    assert found["saturation"]["g2.0"]["saturated"]["mean"] == 2  # 99.0 is within 1
    assert found["saturation"]["train"]["train/top1"] == [30.0, 80.0, 89.5, 90.0]
    assert set(found["appearance"]) == set(HOW.sets)
    assert all(0 < one["high_share"] < 1 for one in found["appearance"].values())
    content = {name: METRICS[name] for name in ("coverage", "recall")}
    assert found["content"] == {"g2.0": content}
    assert found["quality"] == {"g2.0": {"off_manifold": 0.25, "density": METRICS["density"]}}
    assert found["reference"]["what"] == "corpus against train"
    assert found["reference"]["quality"]["off_manifold"] == 0


def test_the_runs_add_half_of_the_synthetic_images_in_as_many_steps_as_real_alone(folder):
    runs = read_json(folder / "run.json")["runs"]
    named = [(run["variant"], run["seed"]) for run in runs]
    assert named == [(v, s) for v in ("low_loss", "high_loss", "random") for s in (0, 1)]
    for run in runs:
        assert (run["experiment"], run["ablation"]) == ("gap", "sampling")
        assert (run["set"], run["source"], run["guidance_scale"]) == ("train+g2.0", "mixed", 2.0)
        assert run["num_images"] == 24 + 12
        assert run["num_steps"] == 2 * 2  # the world's two epochs, of real alone's steps each
        assert run["real_labels"] == {"generator": 24, "donor": 0, "student": 24}


def test_what_was_read_is_named(folder):
    inputs = read_json(folder / "run.json")["inputs"]
    sources = {f"artifacts/sets/digits/{name}" for name in HOW.sets}
    students = {
        f"artifacts/train/digits/{name}/student-s{seed}.safetensors"
        for name in HOW.sets
        for seed in HOW.seeds
    }
    assert sources | students | {"artifacts/fidelity/digits/fidelity.json"} <= set(inputs)


def test_low_losses_are_low_and_high_ones_high(found):
    added = found["selection"]["added"]["g2.0"]
    assert added["low_loss"]["loss"] < added["random"]["loss"] < added["high_loss"]["loss"]
    assert {kept["num_images"] for kept in added.values()} == {12}
    assert (found["selection"]["share"], found["selection"]["classifier"]) == (0.5, "train")


def test_sheets_show_other_images(found, folder):
    names = [found["sheets"][kind]["g2.0"] for kind in ("low", "high")]
    sheets = [np.asarray(Image.open(folder / name).convert("L"), np.float64) for name in names]
    assert sheets[0].shape == sheets[1].shape
    assert min(sheet.std() for sheet in sheets) > 20
    assert np.abs(sheets[0] - sheets[1]).mean() > 1


def test_nothing_is_chosen_by_held_out_images(own, world):
    """Without them, the same images are added and the same gap.json is written."""
    for name in ("val", "test"):
        shutil.rmtree(own.artifacts.image_set(name))
    blind = gap_cell(params_of(own), own.artifacts)
    seeing = gap_cell(params_of(world), world.artifacts)
    assert [plan.indices.tolist() for plan in blind.plans] == [
        plan.indices.tolist() for plan in seeing.plans
    ]
    assert blind.beside.args[0] == seeing.beside.args[0]


def test_a_large_set_is_looked_at_and_drawn_from_in_part(world):
    part = gap_cell(params_of(world, replace(HOW, max_images=12)), world.artifacts)
    assert part.beside.args[0]["num_images"] == {"train": 12, "g2.0": 12}
    for plan in part.plans:
        assert (plan.num_images, plan.num_real) == (24 + 6, 24)
        labels = plan.source.images.labels[plan.indices[24:]]
        assert np.bincount(labels).tolist() == [2, 2, 2]


def test_stopped_before_it_is_whole_it_goes_on_and_ends_with_the_same_bytes(
    own, folder, monkeypatch
):
    logged = []
    with monkeypatch.context() as patch:
        patch.setattr(stage, "draw_losses", _full)
        with pytest.raises(OSError, match="no space"):
            gap(params_of(own), own.artifacts, lambda *event: logged.append(event))
    assert logged
    assert not own.artifacts.stage("gap").exists()
    gap(params_of(own), own.artifacts, lambda *event: pytest.fail(f"trained again: {event}"))
    for name in FILES:
        written = (own.artifacts.stage("gap") / name).read_bytes()
        assert written == (folder / name).read_bytes(), name


def _full(*_args, **_named):
    raise OSError("no space")


def test_what_is_missing_or_stale_is_named(own):
    params, artifacts = params_of(own), own.artifacts
    path = artifacts.stage("fidelity") / "fidelity.json"
    measured = json.loads(path.read_text())
    measured["sets"]["g2.0"]["digest"] = "of other images"
    write_json(path, measured)
    with pytest.raises(DataError, match=r"fidelity.json: nothing on the images of .*g2.0"):
        gap_cell(params, artifacts)
    path.unlink()
    with pytest.raises(DataError, match=r"rerun `dvc repro fidelity`"):
        gap_cell(params, artifacts)
    runs = artifacts.cell("train", "g2.0") / "run.json"
    write_json(runs, {"runs": json.loads(runs.read_text())["runs"][:1]})
    with pytest.raises(DataError, match=r"run.json: no students of the seeds \[1\]"):
        gap_cell(params, artifacts)
    write_json(artifacts.verdict("g2.0"), {"passed": False})
    artifacts.cell("train", "train").joinpath("student-s1.json").unlink()
    with pytest.raises(CheckpointError, match=r"student-s1.json: missing"):
        gap_cell(params, artifacts)


def test_a_set_that_the_gate_refused_is_not_looked_at(own):
    write_json(own.artifacts.verdict("g2.0"), {"passed": False})
    with pytest.raises(GateError, match="no passing verdict"):
        gap_cell(params_of(own), own.artifacts)


def test_corpus_is_held_against_the_reference_of_fidelity(own):
    from synthgap.experiments.gap.record import manifold_numbers
    from synthgap.experiments.runs.sources import Source

    root = own.artifacts.image_set("corpus")
    shutil.copytree(own.artifacts.image_set("train"), root)
    images = ImageSet.read(root)
    corpus = Source("corpus", images, None)
    path = own.artifacts.stage("fidelity") / "fidelity.json"
    reference = {"what": "corpus against train", "metrics": METRICS}
    inputs = {"artifacts/sets/digits/corpus": images.digest}
    write_json(path, {"sets": {}, "real": reference, "inputs": inputs})
    assert manifold_numbers(own.artifacts, corpus)["content"]["recall"] == METRICS["recall"]
    write_json(path, {"sets": {}, "real": {**reference, "what": "halves"}, "inputs": inputs})
    with pytest.raises(DataError, match="rerun `dvc repro fidelity`"):
        manifold_numbers(own.artifacts, corpus)

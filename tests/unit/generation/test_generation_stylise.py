from dataclasses import replace

import numpy as np
import pytest
from generation_case import files, run_child
from PIL import Image
from stylising_case import PARAMS, plain_sets, styled

from synthgap.data.image_set import ImageSet
from synthgap.errors import DataError, GeneratorError, ParamsError
from synthgap.generation.derived import stylise
from synthgap.generation.derived.style_pictures import StylePictures, made_patterns
from synthgap.generation.derived.styled_set import StyleNetworks
from synthgap.generation.trainers.adain import initialise
from synthgap.generation.trainers.style_training import small_pair
from synthgap.jobs import read_json
from synthgap.jobs.device import seeded_weights

KILLED = """
import os, signal
from pathlib import Path
from stylising_case import Artifacts, styled
from synthgap.generation.derived.styled_set import StyleNetworks
calls, real = [], StyleNetworks.repaint
def third_call_kills(*args):
    calls.append(args)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args)
StyleNetworks.repaint = third_call_kills
styled(Artifacts(Path(sys.argv[1]), "tiny"))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Read only: a root with both sets, and what the log was told."""
    artifacts = plain_sets(tmp_path_factory.mktemp("styled"))
    logged = []
    styled(artifacts, lambda digest, event: logged.append((digest, event)))
    return artifacts, logged


def test_an_image_keeps_class_name_and_place(made):
    artifacts, _ = made
    styles = []
    for name in ("train", "g2.0"):
        parent, child = (
            ImageSet.read(artifacts.image_set(each)) for each in (name, f"{name}-stylised")
        )
        assert (child.kind, child.classes, child.paths) == (
            parent.kind,
            parent.classes,
            parent.paths,
        )
        assert child.labels.tolist() == parent.labels.tolist()
        assert child.about["derived_from"] == {"name": name, "digest": parent.digest}
        assert child.about.items() >= parent.about.items()
        assert child.rows()["parent_sha256"].tolist() == list(parent.sha256s)
        assert not set(child.sha256s) & set(parent.sha256s)
        styles.append(child.rows()["style"].tolist())
        assert child.pixels(16).shape == (12, 16, 16, 3)  # read with every sha256 checked
    assert styles[0] == styles[1]
    assert len(set(styles[0])) > 1


def test_texture_goes_to_the_style_and_shape_stays(made):
    artifacts, _ = made
    logged = read_json(artifacts.stage("stylise") / "run.json")
    for name in ("train", "g2.0"):
        texture, shape = logged["texture"][name], logged["shape"][name]
        assert texture["after"] < 0.8 * texture["before"]
        assert texture["from_original"] > 0.3
        assert shape["own"] > 0.5
        assert shape["own"] > 1.5 * shape["other"]
        child = ImageSet.read(artifacts.image_set(f"{name}-stylised"))
        assert logged["sets"][name]["digest"] == child.digest


def test_the_run_is_told_live_and_kept(made):
    artifacts, logged = made
    kept = read_json(artifacts.stage("stylise") / "run.json")
    (run,) = kept["runs"]
    assert {digest for digest, _ in logged} == {run["digest"]}
    assert [event["event"] for _, event in logged] == ["start", *["epoch"] * 4, "end"]
    assert [event["metrics"] for _, event in logged[1:-1]] == run["epochs"]
    assert [epoch["epoch"] for epoch in run["epochs"]] == [50, 60, 110, run["num_steps"]]
    assert run["epochs"][1]["autoencoder/loss"] < run["epochs"][0]["autoencoder/loss"]
    assert run["epochs"][3]["decoder/loss"] < run["epochs"][2]["decoder/loss"]
    picture = np.asarray(Image.open(artifacts.stage("stylise") / "before_after.png"))
    assert picture.std() > 20


def test_a_killed_run_reuses_what_is_there_and_ends_with_the_same_bytes(made, tmp_path, capfd):
    artifacts = plain_sets(tmp_path)
    assert run_child(KILLED, tmp_path) == -9
    assert not artifacts.image_set("train-stylised").exists()
    tar, *_ = artifacts.work.glob("*/sets/train/round-00/*.tar")
    tar.write_bytes(tar.read_bytes()[:4000])
    capfd.readouterr()
    styled(artifacts)
    logged = capfd.readouterr().err
    assert "stylise: goes on after step 60 of 60" in logged
    assert "what follows is made again" in logged
    for output in ("sets/tiny", "stylise/tiny"):
        ours, theirs = (files(one.root / "artifacts" / output) for one in (artifacts, made[0]))
        assert ours == theirs
    assert not [path for path in artifacts.work.iterdir() if path.is_dir()]


def test_finished_sets_are_not_made_again(made, monkeypatch):
    artifacts, _ = made
    monkeypatch.setattr(stylise, "_network", None)
    styled(artifacts)


def test_results_depend_neither_on_neighbours_nor_without_strength_on_the_style():
    network = small_pair(PARAMS.stylise)
    with seeded_weights(1):
        initialise(network.encoder, network.decoder)
    pictures = made_patterns(6, 16, seed=1)
    stylist = StyleNetworks(
        network, StylePictures(pictures, tuple("abcdef")), PARAMS.stylise, 16, seed=3
    )
    together = stylist.repaint(pictures, pictures[::-1])
    assert np.array_equal(stylist.repaint(pictures[2:3], pictures[3:4]), together[2:3])
    own = replace(stylist, section=replace(PARAMS.stylise, strength=0.0))
    assert np.array_equal(own.repaint(pictures, pictures[::-1]), own.repaint(pictures, pictures))
    assert not np.array_equal(together, own.repaint(pictures, pictures))


def test_blank_results_and_impossible_sizes_are_refused(tmp_path):
    artifacts = plain_sets(tmp_path, count=2)
    pictures = tmp_path / "grey"
    pictures.mkdir()
    Image.new("RGB", (20, 20), (90, 90, 90)).save(pictures / "grey.png")
    with pytest.raises(GeneratorError, match="train, stylised: blank"):
        styled(artifacts, pictures="grey")
    assert not artifacts.image_set("train-stylised").exists()
    with pytest.raises(ParamsError, match="16, expected 32 px or more for the 5 levels"):
        styled(artifacts, channels=(4, 4, 4, 4, 4))
    with pytest.raises(DataError, match=r"manifest\.parquet: missing"):
        stylise.stylise(PARAMS, replace(artifacts, recipe="other"), lambda *_: None)

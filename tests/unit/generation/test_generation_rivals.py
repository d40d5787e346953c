import json
from dataclasses import replace

import numpy as np
import pytest
from generation_case import (
    CLASSES,
    COUNTS,
    DATA,
    RUNTIME,
    files,
    run_child,
    with_generator,
)
from PIL import Image

from synthgap.data.image_set import ImageSet
from synthgap.errors import GeneratorError, ParamsError
from synthgap.generation.pipelines.opening import open_sampler
from synthgap.generation.pipelines.provenance import Provenance, card_licence, locate
from synthgap.generation.pipelines.sampler import Request, SamplingSettings
from synthgap.generation.trainers.rivals import RivalsParams, make_rival
from synthgap.jobs import read_json, silent
from synthgap.params.sections import Pin, Rival, Transformer

DIT = Rival(
    kind="train",
    pin=None,
    licence="CC0-1.0",
    min_confidence=None,
    threads=1,
    checkpoint_every_steps=20,
    transformer=Transformer(16, 1, 2, 60, 4, 1e-2, 0.1, 0.9),
)
RIVALS = RivalsParams(seed=3, runtime=RUNTIME, data=DATA, rivals={"dit": DIT})
SETTINGS = SamplingSettings("", 3.0, 2, None, 8, 8, 4, 4)
KILLED = """
import os, signal
from pathlib import Path
from synthgap.jobs import Artifacts
from test_generation_rivals import RIVALS, make_rival
def log(digest, event):
    if "transformer/loss" in event.get("metrics", {}):
        os.kill(os.getpid(), signal.SIGKILL)
make_rival(RIVALS, Artifacts(Path(sys.argv[1]), "tiny"), log, name="dit")
"""


def made(artifacts, rival=DIT, name="dit", log=silent):
    make_rival(replace(RIVALS, rivals={name: rival}), artifacts, log, name=name)
    return artifacts.cell("rivals", name)


@pytest.fixture(scope="module")
def rivalled(trained, tmp_path_factory):
    """Read only: a root with the generator and a rival trained without interruption."""
    artifacts = with_generator(trained, tmp_path_factory.mktemp("rivalled"))
    made(artifacts)
    return artifacts


def test_the_folder_opens_as_an_ordinary_pipeline_of_classes(rivalled):
    from diffusers import DiffusionPipeline, DiTPipeline

    folder = rivalled.cell("rivals", "dit")
    pipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    assert isinstance(pipeline, DiTPipeline)
    assert pipeline.labels == dict(zip(CLASSES, (0, 1), strict=True))
    assert pipeline([1], num_inference_steps=1, output_type="np").images.shape == (1, 8, 8, 3)
    for name, content in files(folder).items():
        assert str(rivalled.root).encode() not in content, name


def test_its_latents_are_the_generators(rivalled):
    ours, theirs = (
        folder / "vae" / "diffusion_pytorch_model.safetensors"
        for folder in (rivalled.cell("rivals", "dit"), rivalled.generator)
    )
    assert ours.read_bytes() == theirs.read_bytes()


def test_what_it_has_seen_is_counted_and_its_licence_kept(rivalled):
    provenance = Provenance.read(rivalled, "rivals", "dit")
    assert (provenance.kind, provenance.name, provenance.licence) == ("train", "dit", "CC0-1.0")
    assert provenance.real_labels == sum(COUNTS["corpus"])
    assert provenance.training_set == ImageSet.read(rivalled.image_set("corpus")).digest
    assert locate(provenance, rivalled, "rivals", "dit") == rivalled.cell("rivals", "dit")
    (run,) = read_json(rivalled.cell("rivals", "dit") / "run.json")["runs"]
    assert (run["experiment"], run["name"]) == ("rivals", "rivals tiny dit")
    assert [epoch["epoch"] for epoch in run["epochs"]] == [50, 60]
    assert run["epochs"][-1]["transformer/loss"] < 1.5


def test_it_draws_classes_and_learned_to_go_without(rivalled):
    folder = rivalled.cell("rivals", "dit")
    asked = [Request(5, label=label) for label in (0, 1)]
    guided, free = (
        open_sampler(
            folder, replace(SETTINGS, guidance_scale=scale), RUNTIME, classes=CLASSES, prompts=()
        )(asked).pixels
        for scale in (3.0, 1.0)
    )
    assert guided.shape == (2, 8, 8, 3)
    assert not np.array_equal(guided[0], guided[1])
    assert not np.array_equal(guided, free)


def test_a_killed_training_ends_with_the_same_bytes(rivalled, trained, tmp_path, capfd):
    artifacts = with_generator(trained, tmp_path)
    assert run_child(KILLED, tmp_path) == -9
    capfd.readouterr()
    folder = made(artifacts)
    assert "transformer: goes on after step 40 of 60" in capfd.readouterr().err
    assert files(folder) == files(rivalled.cell("rivals", "dit"))


def test_a_pinned_pipeline_is_recorded_with_its_cards_licence(rivalled, trained, tmp_path):
    source = rivalled.cell("rivals", "dit")
    artifacts = with_generator(trained, tmp_path)
    pinned = replace(DIT, kind="pin", pin=Pin(str(source), None, None), transformer=None)
    folder = made(artifacts, replace(pinned, licence="MIT", min_confidence=0.8), "other")
    assert set(files(folder)) == {"provenance.json", "work.json"}
    provenance = Provenance.read(artifacts, "rivals", "other")
    assert (provenance.kind, provenance.licence) == ("pin", "MIT")
    assert (provenance.name, provenance.min_confidence) == ("other", 0.8)
    assert provenance.real_labels == sum(COUNTS["corpus"])
    assert locate(provenance, artifacts, "rivals", "other") == source


def test_the_model_card_says_the_licence(tmp_path):
    assert card_licence(tmp_path) is None
    card = tmp_path / "README.md"
    card.write_text("---\nlicense: creativeml-openrail-m\ntags: [a]\n---\n# A model\n")
    assert card_licence(tmp_path) == "creativeml-openrail-m"
    card.write_text("---\nlicense: other\nlicense_name: own-1.0\n---\n")
    assert card_licence(tmp_path) == "own-1.0"
    card.write_text("no front matter")
    assert card_licence(tmp_path) is None


def test_a_folder_of_samples_is_pinned_by_its_images(trained, tmp_path):
    artifacts = with_generator(trained, tmp_path)
    for name in CLASSES:
        (tmp_path / "gan" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "gan" / name / "0.png")
    (tmp_path / "gan" / "README.md").write_text("---\nlicense: mit\n---\n")
    samples = replace(
        DIT, kind="folder", pin=Pin("gan", None, None), transformer=None, licence=None
    )
    made(artifacts, samples, "gan")
    provenance = Provenance.read(artifacts, "rivals", "gan")
    assert (provenance.kind, provenance.licence) == ("folder", "mit")
    assert locate(provenance, artifacts, "rivals", "gan") == tmp_path / "gan"
    Image.fromarray(np.ones((8, 8, 3), np.uint8)).save(tmp_path / "gan" / CLASSES[0] / "0.png")
    with pytest.raises(GeneratorError, match="as stage rivals saw it"):
        locate(provenance, artifacts, "rivals", "gan")
    with pytest.raises(GeneratorError, match=r"expected 00 \(rivals\.gan\.pin\.sha256\)"):
        made(artifacts, replace(samples, pin=Pin("gan", None, "00")), "gan")


def test_a_missing_or_empty_folder_of_samples_is_refused(trained, tmp_path):
    artifacts = with_generator(trained, tmp_path)
    samples = replace(DIT, kind="folder", pin=Pin("gan", None, None), transformer=None)
    with pytest.raises(GeneratorError, match=r"correct rivals\.gan\.pin\.location"):
        made(artifacts, samples, "gan")
    (tmp_path / "gan").mkdir()
    with pytest.raises(GeneratorError, match="no images, expected samples"):
        made(artifacts, samples, "gan")


def test_a_rival_that_is_not_declared_or_cannot_learn_is_refused(trained, tmp_path):
    artifacts = with_generator(trained, tmp_path)
    with pytest.raises(ParamsError, match=r"no 'gan', expected one of dit"):
        make_rival(RIVALS, artifacts, silent, name="gan")
    path = artifacts.generator / "provenance.json"
    path.write_text(json.dumps({**read_json(path), "kind": "pin"}))
    with pytest.raises(GeneratorError, match="a generator trained here"):
        made(artifacts)

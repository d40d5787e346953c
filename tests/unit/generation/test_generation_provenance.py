import json
import shutil
from dataclasses import replace

import pytest
from generation_case import CLASSES, GENERATOR, files, real_sets, sampled, train, with_generator

from synthgap.errors import GeneratorError
from synthgap.generation.pipelines.provenance import Provenance, pin, pipeline_digest
from synthgap.params.sections import Pin


@pytest.fixture
def folder(trained, tmp_path):
    """A pipeline made elsewhere, which has no record of its training data."""
    foreign = tmp_path / "elsewhere"
    shutil.copytree(trained.generator, foreign)
    for name in ("provenance.json", "run.json", "work.json"):
        (foreign / name).unlink()
    return foreign


def test_a_pin_without_digest_takes_what_is_there(folder, tmp_path):
    found = pin(Pin("elsewhere", None, None), root=tmp_path)
    assert found.sha256 == pipeline_digest(folder)
    assert (found.real_labels, found.classes) == (None, None)
    assert pin(Pin(str(folder), None, found.sha256), root=tmp_path).sha256 == found.sha256


def test_the_digest_is_of_the_pipelines_files_alone(folder):
    before = pipeline_digest(folder)
    (folder / "README.md").write_text("about")
    (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_text("variant")
    assert pipeline_digest(folder) == before
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace("0.012", "0.013"))
    assert pipeline_digest(folder) != before


def test_another_digest_is_refused(folder, tmp_path):
    with pytest.raises(GeneratorError, match=r"expected 0000 \(generator.pin.sha256\)"):
        pin(Pin("elsewhere", None, "0000"), root=tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(GeneratorError, match="no such folder"):
        pin(Pin("./nowhere", None, None), root=tmp_path)


def test_a_folder_that_lacks_a_component_is_refused(folder, tmp_path):
    shutil.rmtree(folder / "unet")
    with pytest.raises(GeneratorError, match=r"unet: missing"):
        pin(Pin("elsewhere", None, None), root=tmp_path)


def test_pickled_weights_are_refused(folder, tmp_path):
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(GeneratorError, match=r"unet/diffusion_pytorch_model\.bin: a pickle"):
        pin(Pin("elsewhere", None, None), root=tmp_path)


def test_a_pipeline_with_code_of_its_own_is_refused(folder, tmp_path):
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": ["mine", "Mine"]}))
    with pytest.raises(GeneratorError, match="code of its own"):
        pin(Pin("elsewhere", None, None), root=tmp_path)


def test_a_hub_id_is_found_in_the_local_cache_and_named_by_commit(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(GeneratorError, match=r"^owner/tiny \(revision main\): cannot be had"):
        pin(Pin("owner/tiny", "main", None), root=tmp_path)
    commit = "1" * 40
    model = tmp_path / "cache" / "models--owner--tiny"
    shutil.copytree(folder, model / "snapshots" / commit)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    found = pin(Pin("owner/tiny", "main", None), root=tmp_path)
    assert (found.revision, found.sha256) == (commit, pipeline_digest(folder))


def test_our_own_pipeline_is_pinned_with_what_it_has_seen(trained, tmp_path):
    found = pin(Pin(str(trained.generator), None, None), root=tmp_path)
    assert found.classes == CLASSES
    assert found.real_labels == Provenance.read(trained).real_labels


def test_a_pinned_pipeline_samples_what_the_trained_one_does(trained, folder, tmp_path):
    pinned = real_sets(tmp_path / "pinned")
    declared = replace(GENERATOR.generator, kind="pin", pin=Pin(str(folder), None, None))
    train(pinned, replace(GENERATOR, generator=declared))
    assert set(files(pinned.generator)) == {"provenance.json", "work.json"}
    ours = sampled(with_generator(trained, tmp_path / "ours"))
    theirs = sampled(pinned)
    assert theirs.digest == ours.digest
    assert ours.about["generator_real_labels"] == 9
    assert theirs.about["generator_real_labels"] is None


def test_a_generator_that_changed_since_is_refused(trained, tmp_path):
    artifacts = with_generator(trained, tmp_path)
    config = artifacts.generator / "vae" / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(GeneratorError, match="as stage generator saw it"):
        sampled(artifacts)

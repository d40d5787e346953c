from dataclasses import replace

import pytest
from generation_case import (
    CLASSES,
    COUNTS,
    DATA,
    GENERATOR,
    files,
    real_sets,
    run_child,
    train,
)

from synthgap.data.image_set import ImageSet
from synthgap.errors import GeneratorError, ParamsError, WorkError
from synthgap.generation.pipelines.provenance import Provenance, locate
from synthgap.generation.trainers.generator import make_generator
from synthgap.jobs import read_json

KILLED = """
import os, signal
from pathlib import Path
from generation_case import GENERATOR, Artifacts, make_generator
def log(digest, event):
    if "denoiser/loss" in event.get("metrics", {}):
        os.kill(os.getpid(), signal.SIGKILL)
make_generator(GENERATOR, Artifacts(Path(sys.argv[1]), "tiny"), log)
"""


def test_the_folder_opens_as_an_ordinary_pipeline_without_pickles(trained):
    from diffusers import DiffusionPipeline, StableDiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(trained.generator, local_files_only=True)
    assert isinstance(pipeline, StableDiffusionPipeline)
    assert {name.rpartition(".")[2] for name in files(trained.generator)} == {"json", "safetensors"}


def test_provenance_says_what_it_has_seen(trained):
    provenance = Provenance.read(trained)
    assert provenance.kind == "train"
    assert provenance.classes == CLASSES
    assert provenance.real_labels == sum(COUNTS["corpus"])
    assert provenance.training_set == ImageSet.read(trained.image_set("corpus")).digest
    assert locate(provenance, trained) == trained.generator


def test_the_record_holds_the_losses_of_both_phases(trained):
    (run,) = read_json(trained.generator / "run.json")["runs"]
    assert [tuple(sorted(epoch)) for epoch in run["epochs"]] == [
        ("autoencoder/loss", "epoch"),
        ("denoiser/loss", "epoch"),
        ("denoiser/loss", "epoch"),
    ]
    assert [epoch["epoch"] for epoch in run["epochs"]] == [5, 55, 65]
    assert run["num_steps"] == 65


def test_a_killed_training_ends_with_the_same_bytes(trained, tmp_path, capfd):
    artifacts = real_sets(tmp_path)
    assert run_child(KILLED, tmp_path) == -9
    assert not artifacts.generator.exists()
    capfd.readouterr()
    logged = []
    make_generator(GENERATOR, artifacts, lambda digest, event: logged.append(event))
    assert "denoiser: goes on after step 40 of 60" in capfd.readouterr().err
    assert files(artifacts.generator) == files(trained.generator)
    losses = [event["metrics"]["epoch"] for event in logged if event["event"] == "epoch"]
    assert losses == [5, 55, 65]
    assert [logged[0]["event"], logged[-1]] == ["start", {"event": "end", "status": "FINISHED"}]
    assert not [path for path in artifacts.work.iterdir() if path.is_dir()]


def test_nothing_of_the_machine_lands_in_the_files(trained):
    for name, content in files(trained.generator).items():
        assert str(trained.root).encode() not in content, name


def test_a_second_starter_stops_with_the_holders_pid(trained, tmp_path, monkeypatch):
    import fcntl

    artifacts = real_sets(tmp_path)
    artifacts.work.mkdir(parents=True)
    (lock,) = trained.work.glob("*.lock")
    monkeypatch.setattr("synthgap.jobs.work.LOCK_TIMEOUT_S", 0.0)
    with (artifacts.work / lock.name).open("w") as held:
        held.write("4711")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(WorkError, match="process 4711"):
            train(artifacts)


def test_a_loss_that_is_not_finite_stops_with_the_setting_to_change(tmp_path):
    phase = replace(GENERATOR.generator.autoencoder, learning_rate=1e30)
    params = replace(GENERATOR, generator=replace(GENERATOR.generator, autoencoder=phase))
    logged = []
    with pytest.raises(GeneratorError, match=r"lower generator\.autoencoder\.learning_rate"):
        make_generator(params, real_sets(tmp_path), lambda digest, event: logged.append(event))
    assert logged[-1] == {"event": "end", "status": "FAILED"}


def test_an_image_size_that_does_not_suit_is_refused(tmp_path):
    with pytest.raises(ParamsError, match="multiple of 8"):
        train(real_sets(tmp_path), replace(GENERATOR, data=replace(DATA, image_size=12)))

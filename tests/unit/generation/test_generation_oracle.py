import shutil
from dataclasses import replace

import numpy as np
import pytest
from generation_case import (
    CLASSES,
    COUNTS,
    ORACLE,
    RUNTIME,
    files,
    prompted,
    with_teacher,
)

from synthgap.data.image_set import ImageSet
from synthgap.errors import GeneratorError
from synthgap.generation.pipelines import opening
from synthgap.generation.pipelines.opening import open_pipeline, open_sampler
from synthgap.generation.pipelines.provenance import Provenance, locate
from synthgap.generation.pipelines.sampler import Request, SamplingSettings
from synthgap.generation.synthesis.explaining import explained_number, regenerate
from synthgap.generation.trainers.clip_networks import resemblance
from synthgap.jobs import read_json
from synthgap.models.clip import open_clip_model
from synthgap.params.sections import Pin


@pytest.fixture(scope="module")
def made(learned, tmp_path_factory):
    """A root with set and pipeline, made without interruption."""
    artifacts = with_teacher(learned, tmp_path_factory.mktemp("made"))
    prompted(artifacts)
    return artifacts


@pytest.fixture(scope="module")
def pipeline(made):
    return open_pipeline(made.stage("oracle"), RUNTIME)


def shown(count):
    draw = np.random.default_rng(1)
    return list(draw.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8))


def test_every_training_image_prompts_one_of_its_class(made):
    images, train = (ImageSet.read(made.image_set(name)) for name in ("oracle", "train"))
    rows = images.rows()
    assert images.kind == "synthetic"
    assert sorted(rows["prompt"]) == sorted(train.paths)
    labels = dict(zip(train.paths, train.labels, strict=True))
    assert [labels[path] for path in rows["prompt"]] == images.labels.tolist()
    assert rows["seed"].is_unique
    assert images.pixels(8).shape == (7, 8, 8, 3)  # read with every sha256 checked


def test_the_set_owns_up_to_the_labels_behind_it(made):
    about = ImageSet.read(made.image_set("oracle")).about
    train = ImageSet.read(made.image_set("train"))
    assert about["generator_real_labels"] == sum(COUNTS["corpus"]) + sum(COUNTS["train"])
    assert about["prompted_by"] == {"name": "train", "digest": train.digest}
    assert "oracle" in about["caveat"]


def test_an_image_tells_how_it_was_made_and_is_made_again_by_that(made):
    explained = explained_number(made.root, str(made.image_set("oracle")), 5)
    assert explained.metadata["generator"]["source"] == ["oracle"]
    assert explained.metadata["settings"]["noise_level"] == ORACLE.oracle.noise_level
    assert regenerate(explained, made.root).equal


def test_the_folder_opens_as_an_ordinary_unclip_without_pickles(made):
    from diffusers import DiffusionPipeline, StableUnCLIPImg2ImgPipeline

    folder = made.stage("oracle")
    pipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    assert isinstance(pipeline, StableUnCLIPImg2ImgPipeline)
    found = files(folder)
    assert {name.rpartition(".")[2] for name in found} == {"json", "safetensors"}
    for name, content in found.items():
        assert str(made.root).encode() not in content, name
    provenance = Provenance.read(made, "oracle")
    assert provenance.real_labels == sum(COUNTS["corpus"])
    assert locate(provenance, made, "oracle") == folder


def test_only_the_unet_learns(made, pipeline):
    import torch

    before = open_pipeline(made.generator, RUNTIME)
    for part in ("vae", "text_encoder"):
        ours, theirs = (getattr(one, part).state_dict() for one in (pipeline, before))
        assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())
    learned, old = pipeline.unet.state_dict(), before.unet.state_dict()
    assert not torch.equal(learned["conv_in.weight"], old["conv_in.weight"])
    assert {name.partition(".")[0] for name in set(learned) - set(old)} == {"class_embedding"}


def sampler_of(made, noise_level):
    settings = SamplingSettings("", 2.0, 2, None, None, None, 4, 4, noise_level=noise_level)
    return open_sampler(made.stage("oracle"), settings, RUNTIME, classes=CLASSES, prompts=())


def test_an_image_depends_on_its_own_seed_and_prompt_alone(made):
    sampler = sampler_of(made, 0)
    one, other, *_ = shown(2)
    requests = [Request(seed, image=image) for seed in (5, 6) for image in (one, other)]
    together, turned, alone = (
        sampler(several).pixels for several in (requests, requests[::-1], requests[1:2])
    )
    assert np.array_equal(together, turned[::-1])
    assert np.array_equal(together[1:2], alone)
    assert len(np.unique(together, axis=0)) == 4


def test_noise_on_the_embedding_is_the_images_own(made):
    requests = [Request(5, image=image) for image in shown(2)]
    clear, noisy = (sampler_of(made, level)(requests).pixels for level in (0, 900))
    assert not np.array_equal(clear, noisy)
    assert np.array_equal(noisy[1:], sampler_of(made, 900)(requests[1:]).pixels)


def test_an_interrupted_run_ends_with_the_same_bytes(made, learned, tmp_path, monkeypatch, capfd):
    artifacts = with_teacher(learned, tmp_path)
    real, calls = opening.open_sampler, []

    def third_call_fails(*args, **others):
        sampler = real(*args, **others)

        def counted(requests):
            calls.append(requests)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return sampler(requests)

        return counted

    monkeypatch.setattr(opening, "open_sampler", third_call_fails)
    with pytest.raises(KeyboardInterrupt):
        prompted(artifacts)
    assert not artifacts.image_set("oracle").exists()
    assert not artifacts.stage("oracle").exists()
    monkeypatch.setattr(opening, "open_sampler", real)
    logged = []
    prompted(artifacts, log=lambda digest, event: logged.append(event))
    assert "4 of 7 images are there from before" in capfd.readouterr().err
    assert logged == []  # the training was finished
    for name in ("image_set", "stage"):
        assert files(getattr(artifacts, name)("oracle")) == files(getattr(made, name)("oracle"))
    assert not [path for path in artifacts.work.iterdir() if path.is_dir()]


def test_a_pinned_pipeline_samples_what_the_trained_one_does(made, learned, tmp_path):
    foreign = tmp_path / "elsewhere"
    shutil.copytree(made.stage("oracle"), foreign)
    (foreign / "provenance.json").unlink()
    declared = replace(ORACLE.oracle, kind="pin", pin=Pin(str(foreign), None, None))
    artifacts = with_teacher(learned, tmp_path / "pinned")
    theirs = prompted(artifacts, replace(ORACLE, oracle=declared))
    assert theirs.digest == ImageSet.read(made.image_set("oracle")).digest
    assert theirs.about["generator_real_labels"] is None
    assert set(files(artifacts.stage("oracle"))) == {"provenance.json", "run.json"}


def test_a_pipeline_that_images_cannot_prompt_is_refused(learned, tmp_path):
    artifacts = with_teacher(learned, tmp_path)
    declared = replace(ORACLE.oracle, kind="pin", pin=Pin(str(artifacts.generator), None, None))
    with pytest.raises(GeneratorError, match=r"a StableDiffusionPipeline, expected a StableUnCLIP"):
        prompted(artifacts, replace(ORACLE, oracle=declared))


def test_resemblance_is_told_and_whole_for_the_prompts_themselves(made):
    found = read_json(made.stage("oracle") / "run.json")["resemblance"]
    assert set(found) == {"own", "same_class", "other_class", "right_class"}
    teacher = open_clip_model(made.stage("teacher"))
    train = ImageSet.read(made.image_set("train"))

    class Themselves(ImageSet):
        def rows(self):
            return super().rows().assign(prompt=list(self.paths))

    same = resemblance(teacher, Themselves(**vars(train)), train, 8)
    assert same["own"] == 1.0
    assert same["own"] > same["other_class"]

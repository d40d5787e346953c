from dataclasses import replace

import numpy as np
import pytest
import torch
from generation_case import CLASSES, COUNTS, TEACHER, files, taught, with_generator

from synthgap.data.image_set import ImageSet
from synthgap.errors import GeneratorError, ParamsError
from synthgap.generation.pipelines.provenance import Provenance
from synthgap.generation.trainers.clip_networks import contrastive_loss, shifted, views_loss
from synthgap.generation.trainers.teacher import make_teacher
from synthgap.jobs import read_json, silent
from synthgap.models.clip import clip_digest, open_clip_model, teacher_folder
from synthgap.params.sections import Pin


def changed(**changes):
    return replace(TEACHER, teacher=replace(TEACHER.teacher, **changes))


def test_the_folder_opens_as_an_ordinary_clip_without_pickles(learned):
    from transformers import CLIPModel, CLIPTextModel

    folder = learned.stage("teacher")
    assert {name.rpartition(".")[2] for name in files(folder)} == {"json", "safetensors"}
    clip = CLIPModel.from_pretrained(folder, local_files_only=True)
    text = CLIPTextModel.from_pretrained(learned.generator / "text_encoder")
    frozen = clip.text_model.state_dict()
    for name, weight in text.state_dict().items():
        assert torch.equal(frozen[name], weight), name


def test_it_learns_which_class_an_image_of_corpus_shows(learned):
    record = read_json(learned.stage("teacher") / "run.json")
    assert record["agreement"]["corpus"] == 1.0
    assert set(record["agreement"]) == {"corpus", "train"}
    (run,) = record["runs"]
    assert [epoch["epoch"] for epoch in run["epochs"]] == [50, 60]
    model = open_clip_model(learned.stage("teacher"))
    corpus = ImageSet.read(learned.image_set("corpus"))
    output = model.embed_texts(["a 0", "a snow leopard"])
    cosines = (
        model.embed_images(corpus.pixels(8)) @ (output / np.linalg.norm(output, axis=1)[:, None]).T
    )
    assert np.array_equal(cosines.argmax(axis=1), corpus.labels)


def test_provenance_counts_the_labels_it_has_seen(learned):
    provenance = Provenance.read(learned, "teacher")
    assert (provenance.kind, provenance.classes) == ("train", CLASSES)
    assert provenance.real_labels == sum(COUNTS["corpus"])
    assert teacher_folder(learned.stage("teacher"), root=learned.root) == (
        learned.stage("teacher"),
        provenance.sha256,
    )


def test_an_interrupted_training_ends_with_the_same_bytes(learned, trained, tmp_path, monkeypatch):
    monkeypatch.setattr("synthgap.generation.trainers.teacher.CHECKPOINT_EVERY_STEPS", 20)
    artifacts = with_generator(trained, tmp_path)

    def stop(digest, event):
        if event["event"] == "epoch":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        taught(artifacts, stop)
    assert not artifacts.stage("teacher").exists()
    logged = []
    taught(artifacts, lambda digest, event: logged.append(event))
    ours, theirs = files(artifacts.stage("teacher")), files(learned.stage("teacher"))
    assert ours == theirs
    for name, content in ours.items():
        assert str(artifacts.root).encode() not in content, name
    assert [event["metrics"]["epoch"] for event in logged if event["event"] == "epoch"] == [50, 60]


def test_a_pin_takes_a_folder_made_elsewhere(learned, trained, tmp_path):
    artifacts = with_generator(trained, tmp_path)
    folder = learned.stage("teacher")
    make_teacher(
        changed(kind="pin", pin=Pin(str(folder), None, clip_digest(folder))), artifacts, silent
    )
    assert {"provenance.json", "run.json", "work.json"} == set(files(artifacts.stage("teacher")))
    assert teacher_folder(artifacts.stage("teacher"), root=tmp_path)[0] == folder
    ours, theirs = (read_json(one.stage("teacher") / "run.json") for one in (artifacts, learned))
    assert ours["agreement"] == theirs["agreement"]
    assert ours["runs"] == []
    with pytest.raises(GeneratorError, match=r"expected 0000 \(teacher\.pin\.sha256\)"):
        make_teacher(changed(kind="pin", pin=Pin(str(folder), None, "0000")), artifacts, silent)
    with pytest.raises(GeneratorError, match=r"correct teacher\.pin\.location"):
        make_teacher(changed(kind="pin", pin=Pin("./nowhere", None, None)), artifacts, silent)


def test_what_the_generator_cannot_read_is_refused(trained, tmp_path):
    artifacts = with_generator(trained, tmp_path)
    with pytest.raises(GeneratorError, match=r"teacher\.prompt: 'photo of 0'"):
        make_teacher(changed(prompt="photo of {class}"), artifacts, silent)
    with pytest.raises(ParamsError, match=r"teacher\.patch_px: 3"):
        make_teacher(changed(patch_px=3), artifacts, silent)


def test_with_a_class_an_image_the_loss_is_clips_own():
    from transformers.models.clip.modeling_clip import image_text_contrastive_loss

    logits = torch.randn(6, 6, generator=torch.Generator().manual_seed(0)) * 5
    ours = contrastive_loss(logits, torch.arange(6))
    torch.testing.assert_close(ours, image_text_contrastive_loss(logits))


def test_which_of_its_classs_captions_an_image_is_near_does_not_count():
    labels = torch.tensor([0, 1, 0, 1])
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    turned = logits[:, [2, 3, 0, 1]]
    torch.testing.assert_close(contrastive_loss(logits, labels), contrastive_loss(turned, labels))
    right = 50.0 * (labels[:, None] == labels[None, :])
    assert contrastive_loss(right, labels).item() == pytest.approx(np.log(2), abs=1e-6)


def test_views_of_an_image_should_be_nearer_than_other_images():
    units = torch.eye(4)
    together = views_loss(torch.cat([units, units]))
    crossed = views_loss(torch.cat([units, units.roll(1, dims=0)]))
    assert together < 0.01 < 5 < crossed


def test_a_shifted_image_is_the_image_elsewhere():
    draw = torch.Generator().manual_seed(0)
    images = torch.rand(64, 3, 32, 32, generator=draw)
    moved = shifted(images, draw)
    reaches = set()
    for before, after in zip(images, moved, strict=True):
        inner = after[:, 4:-4, 4:-4]
        fits = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if torch.equal(inner, before[:, 4 + down : 28 + down, 4 + right : 28 + right])
        ]
        assert len(fits) == 1
        reaches.update(fits)
    assert len(reaches) > 15  # of 25

from __future__ import annotations

import json

import pytest
from borrowed_case import RUNTIME, save_captioner, save_encoder_decoder, save_images

from synthgap.errors import GeneratorError
from synthgap.generation.authoring.borrowed import find_local_model
from synthgap.generation.authoring.captioning import caption_images
from synthgap.generation.prompts.prompt_files import read_captions, write_captions


@pytest.fixture(scope="module")
def captioner(tmp_path_factory):
    return save_captioner(tmp_path_factory.mktemp("captioner"))


def captions(folder, images, batch):
    borrowed = find_local_model(str(folder), None, root=folder.parent)
    return list(caption_images(borrowed, images, RUNTIME, batch=batch, max_tokens=6))


def test_every_image_gets_words_that_say_where_they_come_from(captioner, tmp_path):
    images = save_images(tmp_path / "train", 5)
    rows = captions(captioner, images, 2)
    assert len({row["caption"] for row in rows}) > 1
    assert [row["image_sha256"] for row in rows] == list(images.sha256s)
    assert [row["class"] for row in rows] == ["0", "1", "0", "1", "0"]
    assert len(rows[0]["model_sha256"]) == 64
    assert captions(captioner, images, 2) == rows
    write_captions(tmp_path / "said.jsonl", rows)
    read = read_captions(tmp_path / "said.jsonl", ["0", "1"])
    assert list(read["1"]) == [row["caption"] for row in rows if row["class"] == "1"]


def test_a_caption_depends_on_its_image_and_not_on_its_neighbours(captioner, tmp_path):
    rows = captions(captioner, save_images(tmp_path / "five", 5), 3)
    assert captions(captioner, save_images(tmp_path / "four", 4), 3) == rows[:4]


def test_a_vision_encoder_decoder_captions_too(tmp_path):
    folder = save_encoder_decoder(tmp_path / "captioner")
    rows = captions(folder, save_images(tmp_path / "train", 4), 3)
    assert len({row["caption"] for row in rows}) > 1


def test_a_pickle_code_of_its_own_and_another_kind_are_refused(captioner, tmp_path):
    images = save_images(tmp_path / "train", 1)
    with pytest.raises(GeneratorError, match="nowhere: no such folder, expected a transformers"):
        find_local_model("nowhere", None, root=tmp_path)
    config = json.loads((captioner / "config.json").read_text())
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text(json.dumps(config))
    (pickled / "pytorch_model.bin").write_bytes(b"code")
    with pytest.raises(GeneratorError, match=r"a pickle, expected \.safetensors"):
        find_local_model(str(pickled), None, root=tmp_path)
    (pickled / "pytorch_model.bin").unlink()
    foreign = {**config, "model_type": "mine", "auto_map": {"AutoConfig": "code.Mine"}}
    (pickled / "config.json").write_text(json.dumps(foreign))
    (pickled / "code.py").write_text("raise SystemExit('run')")
    with pytest.raises(GeneratorError, match="cannot open it as an image captioner"):
        captions(pickled, images, 1)

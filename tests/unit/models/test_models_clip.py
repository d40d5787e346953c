import json

import numpy as np
import pytest

from synthgap.errors import GeneratorError
from synthgap.generation.prompts.tokenizer import make_tokenizer
from synthgap.models.batching import BATCH
from synthgap.models.clip import clip_digest, open_clip_model, teacher_folder

SIZE = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An ordinary CLIPModel folder of random weights, as transformers saves it."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    from synthgap.jobs.device import seeded_weights

    folder = tmp_path_factory.mktemp("clip")
    tokenizer = make_tokenizer({"0": "a big 0", "1": "a big 1"})
    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    tower["num_attention_heads"] = 2
    ends = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": 5, "pad_token_id": 1}
    vision = {"image_size": SIZE, "patch_size": 4}
    config = CLIPConfig(
        text_config={**tower, **ends, **text}, vision_config={**tower, **vision}, projection_dim=12
    )
    with seeded_weights(5):
        CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessor(
        size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return open_clip_model(folder)


def pixels(count, size=SIZE):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_an_embedding_depends_on_its_own_image_alone(model):
    images = pixels(BATCH + 3)
    together = model.embed_images(images)
    assert together.shape == (BATCH + 3, model.size)
    assert together.dtype == np.float32
    assert np.array_equal(model.embed_images(images[::-1])[::-1], together)
    assert np.array_equal(model.embed_images(images[-1:])[0], together[-1])
    assert len(np.unique(together, axis=0)) == len(images)
    assert model.embed_images(images[:0]).shape == (0, model.size)


def test_embeddings_are_those_of_transformers(model):
    """With CLIP's own mean and std of colours, written out here."""
    import torch

    mean = np.array([0.48145466, 0.4578275, 0.40821073])
    std = np.array([0.26862954, 0.26130258, 0.27577711])
    images = pixels(2)
    values = torch.from_numpy(((images / 255 - mean) / std).transpose(0, 3, 1, 2)).float()
    with torch.no_grad():
        seen = model.network.vision_model(pixel_values=values).pooler_output
        wanted = model.network.visual_projection(seen).numpy()
    np.testing.assert_allclose(model.embed_images(images), wanted, rtol=1e-4, atol=1e-5)


def test_images_of_another_size_are_resized(model):
    small = np.repeat(pixels(1), 3, axis=0)
    large = small.repeat(2, axis=1).repeat(2, axis=2)
    flat = np.full_like(large, 90)
    near, far = model.embed_images(large)[0], model.embed_images(flat)[0]
    own = model.embed_images(small)[0]
    assert np.linalg.norm(near - own) < np.linalg.norm(far - own)


def test_texts_have_embeddings_of_the_same_size(model):
    output = model.embed_texts(["a big 0", "a big 1", "a big 0"])
    assert output.shape == (3, model.size)
    assert np.array_equal(output[0], output[2])
    assert not np.array_equal(output[0], output[1])
    assert model.embed_texts(["a big 0 " * 20]).shape == (1, model.size)


def test_another_model_is_refused(folder, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(GeneratorError, match=r"config\.json: expected that of a CLIP"):
        open_clip_model(tmp_path)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(GeneratorError, match="transformers cannot open it"):
        open_clip_model(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(GeneratorError, match="a pickle"):
        clip_digest(tmp_path)


def test_the_teacher_is_found_where_its_stage_says_and_held_to_its_digest(folder, tmp_path):
    stage = tmp_path / "artifacts"
    with pytest.raises(GeneratorError, match="run `dvc repro teacher` first"):
        teacher_folder(stage, root=tmp_path)
    stage.mkdir()
    known = {"location": str(folder), "revision": None, "sha256": clip_digest(folder)}
    (stage / "provenance.json").write_text(json.dumps(known))
    assert teacher_folder(stage, root=tmp_path) == (folder, known["sha256"])
    (stage / "provenance.json").write_text(json.dumps({**known, "sha256": "00"}))
    with pytest.raises(GeneratorError, match="expected 00 as stage teacher saw it"):
        teacher_folder(stage, root=tmp_path)

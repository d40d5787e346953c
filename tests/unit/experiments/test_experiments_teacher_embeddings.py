from dataclasses import replace

import numpy as np
import pytest
import torch
from experiments_world import CLASSES, make_world

from synthgap.errors import GeneratorError
from synthgap.experiments.ablate import AblateParams, plans_of
from synthgap.experiments.runs.sources import open_source
from synthgap.experiments.teacher_embeddings import TeacherEmbeddings
from synthgap.generation.prompts.tokenizer import make_tokenizer
from synthgap.jobs import write_json
from synthgap.models.clip import PROVENANCE, clip_digest
from synthgap.params.sections import Prompts

PROMPT = "a {class} picture"
NO_PROMPTS = Prompts(PROMPT, None, None, None, None, None)


@pytest.fixture(scope="module")
def world(tmp_path_factory, checkout):
    """Image sets beside a CLIP with random weights."""
    import transformers

    made = make_world(tmp_path_factory.mktemp("taught"), checkout)
    folder = made.artifacts.stage("teacher")
    tokenizer = make_tokenizer({name: PROMPT.replace("{class}", name) for name in CLASSES})
    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "projection_dim": 8}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": tokenizer.model_max_length}
    vision = {"image_size": 16, "patch_size": 8}
    config = transformers.CLIPConfig(
        text_config={**tower, **heads, **text},
        vision_config={**tower, **heads, **vision},
        projection_dim=8,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        transformers.CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}
    transformers.CLIPImageProcessor(**size).save_pretrained(folder)
    about = {"location": None, "revision": None, "sha256": clip_digest(folder)}
    write_json(folder / PROVENANCE, about)
    return made


@pytest.fixture
def teachers(world):
    return TeacherEmbeddings(world.artifacts, PROMPT, NO_PROMPTS, torch.device("cpu"))


def test_every_image_and_every_class_has_an_embedding(teachers, world):
    source = open_source(world.artifacts, "g2.0", 16)
    taught = teachers.distillation(source)
    assert taught.embeddings.shape == (len(source.images), 8)
    assert taught.anchors.shape == (len(CLASSES), 8)
    assert taught.embeddings.dtype == np.float32


def test_a_set_is_looked_at_once_a_teacher(teachers, world):
    source = open_source(world.artifacts, "train", 16)
    taught = teachers.distillation(source)
    kept = world.artifacts.root / ".synthgap" / "embeddings"
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    again = TeacherEmbeddings(
        world.artifacts, PROMPT, NO_PROMPTS, torch.device("cpu")
    ).distillation(source)
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == before
    assert np.array_equal(again.embeddings, taught.embeddings)
    for path in kept.iterdir():
        path.unlink()
    assert np.array_equal(teachers.distillation(source).embeddings, taught.embeddings)


def test_another_prompt_is_another_teaching(teachers, world):
    source = open_source(world.artifacts, "train", 16)
    other = replace(teachers, prompt="{class}").distillation(source)
    assert other.digest != teachers.distillation(source).digest


def test_table_5_learns_from_the_teacher_alone_and_beside_the_labels(world):
    changed = world.changed("teacher", prompt=PROMPT).changed("prompts", classes=None)
    alone, both = plans_of(changed.sections(AblateParams), world.artifacts, "supervision")
    assert [alone.variant, both.variant] == ["embeddings", "both"]
    assert (alone.training.supervision, both.training.supervision) == ("embeddings", "both")
    assert alone.distillation.digest == both.distillation.digest


def test_a_missing_teacher_is_named(prepared):
    asked = prepared.changed("prompts", classes=None).sections(AblateParams)
    with pytest.raises(GeneratorError, match="run `dvc repro teacher` first"):
        plans_of(asked, prepared.artifacts, "supervision")

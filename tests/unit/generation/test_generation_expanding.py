from __future__ import annotations

from dataclasses import replace

import pytest
from borrowed_case import RUNTIME, save_chatter, save_writer

from synthgap.errors import GeneratorError
from synthgap.generation.authoring.borrowed import find_local_model
from synthgap.generation.authoring.expanding import Expansion, expand_words
from synthgap.generation.prompts.wording import ClassWords

WORDS = {"0": ClassWords("0"), "one": ClassWords("1")}
EXPANSION = Expansion(
    opening="a photo of {class}",
    per_class=5,
    seed=3,
    max_tokens=6,
    temperature=1.0,
    top_p=0.95,
)


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    return save_writer(tmp_path_factory.mktemp("writer"))


def expanded(folder, expansion=EXPANSION):
    borrowed = find_local_model(str(folder), None, root=folder.parent)
    return list(expand_words(borrowed, WORDS, RUNTIME, expansion))


def test_captions_continue_the_opening_differ_and_say_where_they_come_from(writer):
    rows = expanded(writer)
    assert [row["class"] for row in rows] == ["0"] * 5 + ["one"] * 5
    for name, begun in (("0", "a photo of 0"), ("one", "a photo of 1")):
        captions = [row["caption"] for row in rows if row["class"] == name]
        assert len(set(captions)) == 5
        assert all(caption.startswith(begun) for caption in captions)
        assert any(caption.startswith(f"{begun} ") for caption in captions)
    assert all(len(row["model_sha256"]) == 64 and row["opening"] for row in rows)


def test_the_same_seed_writes_the_same_captions_whatever_was_drawn_before(writer):
    import torch

    rows = expanded(writer)
    torch.rand(3)
    assert expanded(writer) == rows
    assert expanded(writer, replace(EXPANSION, seed=4)) != rows


def test_a_sentence_ends_a_caption(writer):
    rows = expanded(writer, replace(EXPANSION, max_tokens=30, per_class=20))
    captions = [row["caption"] for row in rows]
    assert any("." in caption for caption in captions)
    assert not any("." in caption[:-1] for caption in captions)


def test_a_model_that_repeats_itself_gives_what_it_has(writer):
    rows = expanded(writer, replace(EXPANSION, top_p=1e-6, max_tokens=3))
    assert [row["class"] for row in rows] == ["0", "one"]


def test_a_model_that_is_talked_to_continues_its_own_answer(writer, tmp_path):
    rows = expanded(save_chatter(tmp_path))
    assert all(row["caption"].startswith(row["opening"]) for row in rows)
    assert {row["caption"] for row in rows} != {row["caption"] for row in expanded(writer)}
    assert not any("Write" in row["caption"] for row in rows)


def test_weights_that_are_no_language_model_are_refused(writer, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(GeneratorError, match="cannot open it as a causal language model"):
        expanded(tmp_path)

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from wordnet_case import write_wordnet

from synthgap.errors import ParamsError
from synthgap.generation.prompts.wording import ClassWords
from synthgap.generation.prompts.wordnet import DEBIAN, NEEDED, synset_words


@pytest.fixture
def no_corpus(monkeypatch):
    """Whatever corpora the machine has, nltk finds none."""
    import nltk.data

    monkeypatch.setattr(nltk.data, "path", [])


def test_a_synset_is_its_lemmas_its_parents_names_and_its_gloss_without_examples(tmp_path):
    wnids = write_wordnet(tmp_path)
    words = synset_words([wnids["cat"], "house_cat.n.01", wnids["beast"]], tmp_path)
    cat = ClassWords("cat, house cat", "pet, hunter", "a small hunter with whiskers")
    assert words[wnids["cat"]] == words["house_cat.n.01"] == cat
    assert words[wnids["beast"]] == ClassWords("beast", None, "a thing that lives")


def test_parents_come_in_wordnets_order_though_nltk_keeps_them_in_a_set(tmp_path):
    wnid = write_wordnet(tmp_path)["chimera"]
    hypernym = synset_words([wnid], tmp_path)[wnid].hypernym
    assert hypernym == "lion, goat, snake, bird, fish, worm, fly"


def test_what_is_no_synset_is_none(tmp_path):
    write_wordnet(tmp_path)
    asked = ["n00000003", "unicorn.n.01", "cat.n.02", "cat.v.01"]
    assert synset_words(asked, tmp_path) == dict.fromkeys(asked)


def test_a_downloaded_corpus_is_found_loose_and_zipped(tmp_path, monkeypatch):
    import nltk.data

    corpora = tmp_path / "corpora"
    write_wordnet(corpora / "wordnet")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    loose = synset_words(["cat.n.01"], None)
    shutil.make_archive(str(corpora / "wordnet"), "zip", corpora, "wordnet")
    shutil.rmtree(corpora / "wordnet")
    assert synset_words(["cat.n.01"], None) == loose
    assert loose["cat.n.01"].name == "cat, house cat"
    assert nltk.data.path == [str(tmp_path)]


def test_without_any_wordnet_the_reader_is_told_how_to_get_one(no_corpus, monkeypatch, tmp_path):
    monkeypatch.setattr("synthgap.generation.prompts.wordnet.DEBIAN", tmp_path)
    with pytest.raises(ParamsError, match=r"apt install wordnet-base.*nltk.downloader wordnet"):
        synset_words(["cat.n.01"], None)


def test_a_folder_that_is_no_dictionary_is_refused(tmp_path):
    with pytest.raises(ParamsError, match=r"prompts.wordnet: .* has no data.noun"):
        synset_words(["cat.n.01"], tmp_path)


def test_offsets_of_another_version_are_no_wnids(tmp_path):
    wnid = write_wordnet(tmp_path, version="3.1")["cat"]
    with pytest.raises(ParamsError, match=r"WordNet 3\.1, expected 3\.0"):
        synset_words([wnid], tmp_path)
    assert synset_words(["cat.n.01"], tmp_path)["cat.n.01"] is not None


def test_a_damaged_dictionary_is_one_line(tmp_path):
    write_wordnet(tmp_path)
    (tmp_path / "index.noun").write_text("cat n many\n")
    with pytest.raises(ParamsError, match="no readable WordNet dictionary"):
        synset_words(["cat.n.01"], tmp_path)


@pytest.mark.skipif(
    not (DEBIAN / NEEDED).is_file(), reason="no WordNet here (apt install wordnet-base)"
)
def test_the_real_wordnet_knows_every_imagenet_100_class(shared: Path, no_corpus):
    wnids = (shared / "data" / "imagenet100_wnids.txt").read_text().split()
    words = synset_words([*wnids, "n01440764"], None)
    assert len(wnids) == 100
    assert all(one and one.name and one.hypernym and one.definition for one in words.values())
    tench = words["n01440764"]
    assert tench is not None
    assert (tench.name, tench.hypernym) == ("tench, Tinca tinca", "cyprinid")
    assert tench.definition.startswith("freshwater dace-like game fish of Europe")

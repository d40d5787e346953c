from __future__ import annotations

import pytest
from prompt_case import prompts
from wordnet_case import write_wordnet

from synthgap.errors import ParamsError
from synthgap.generation.prompts.class_words import ClassWords, class_words


def test_without_a_file_classes_are_called_as_their_folders(tmp_path):
    words = class_words(prompts(), ["snow_leopard", "玉ねぎ"], tmp_path, [])
    assert words == {"snow_leopard": ClassWords("snow leopard"), "玉ねぎ": ClassWords("玉ねぎ")}


def test_ones_own_words_come_before_wordnets(tmp_path):
    wnids = write_wordnet(tmp_path / "dictionary")
    (tmp_path / "classes.yaml").write_text(
        f"{wnids['cat']}: {{name: puss}}\nrex: {{synset: pet.n.01, hypernym: hero}}\n"
    )
    given = prompts(classes="classes.yaml", wordnet="dictionary")
    words = class_words(given, [wnids["cat"], "rex", wnids["beast"]], tmp_path, ["definition"])
    assert words[wnids["cat"]] == ClassWords("puss", "pet, hunter", "a small hunter with whiskers")
    assert words["rex"] == ClassWords("pet, house friend", "hero", "a beast kept at home")
    assert words[wnids["beast"]].name == "beast"


def test_wordnet_is_not_asked_for_what_nobody_needs(tmp_path):
    (tmp_path / "classes.yaml").write_text("n01440764: {name: tench}\n")
    given = prompts(classes="classes.yaml", wordnet="nowhere")
    assert class_words(given, ["n01440764"], tmp_path, ["name"]) == {
        "n01440764": ClassWords("tench")
    }
    with pytest.raises(ParamsError, match=r"nowhere has no data\.noun"):
        class_words(given, ["n01440764"], tmp_path, ["definition"])


def test_names_are_text_however_they_are_written(tmp_path):
    (tmp_path / "classes.yaml").write_text("0: {name: 007}\n1: {name: no}\nnull: {name: nil}\n")
    words = class_words(prompts(classes="classes.yaml"), ["0", "1", "null"], tmp_path, [])
    assert [one.name for one in words.values()] == ["007", "no", "nil"]


def test_classes_without_a_definition_are_named_and_counted(tmp_path):
    (tmp_path / "classes.yaml").write_text("c0: {definition: the first}\n")
    classes = [f"c{number}" for number in range(8)]
    message = r"prompts.classes: no definition for classes c1, c2, c3, c4, c5, \.\.\. \(7 classes\)"
    with pytest.raises(ParamsError, match=message) as refused:
        class_words(prompts(classes="classes.yaml"), classes, tmp_path, ["definition"])
    assert '`c1: {definition: "..."}` into classes.yaml' in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_synset_that_wordnet_lacks_is_named(tmp_path):
    write_wordnet(tmp_path)
    with pytest.raises(ParamsError, match=r"no synset for class n99999999 \(n99999999\)"):
        class_words(prompts(wordnet="."), ["n99999999"], tmp_path, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat: [a", r"classes.yaml: line 1: no valid YAML"),
        ("- cat", r"line 1: class: expected \{name"),
        ("cat: whiskers", r"line 1: cat: expected \{name"),
        ("dog: {}\ncta: {name: cat}", r"classes.yaml: 'cta' is no class; did you mean `cat`"),
        ("cat: {nmae: cat}", r"cat.nmae: unknown key; did you mean `name`"),
        ("cat: {name: }", r"cat.name: expected words"),
        ("cat: {name: ''}", r"cat.name: expected words"),
        ("cat: {definition: [a, b]}", r"cat.definition: expected words"),
        ("cat: {synset: cat}", r"'cat', expected a synset like n02084071 or dog.n.01"),
        ("cat: {name: a, name: b}", r"name is given twice"),
        ("cat: {}\ncat: {}", r"line 2: cat is given twice"),
    ],
)
def test_what_is_wrong_with_the_file_is_one_line(tmp_path, text, message):
    (tmp_path / "classes.yaml").write_text(text)
    with pytest.raises(ParamsError, match=message) as refused:
        class_words(prompts(classes="classes.yaml"), ["cat", "dog"], tmp_path, [])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}\n"])
def test_a_file_that_says_nothing_is_fine(tmp_path, text):
    (tmp_path / "classes.yaml").write_text(text)
    assert class_words(prompts(classes="classes.yaml"), ["a"], tmp_path, []) == {
        "a": ClassWords("a")
    }


def test_a_missing_file_and_bytes_that_are_no_text_are_told(tmp_path):
    with pytest.raises(ParamsError, match=r"prompts.classes: .*No such file"):
        class_words(prompts(classes="classes.yaml"), ["a"], tmp_path, [])
    (tmp_path / "classes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ParamsError, match="not UTF-8"):
        class_words(prompts(classes="classes.yaml"), ["a"], tmp_path, [])


def test_the_digits_have_words_of_their_own_in_few_words(checkout):
    given = prompts(classes="prompts/digits/classes.yaml")
    digits = [str(digit) for digit in range(10)]
    words = class_words(given, digits, checkout, ["hypernym", "definition"])
    assert [one.name for one in words.values()] == digits
    definitions = {one.definition for one in words.values()}
    assert len(definitions) == 10
    assert max(len(definition.split()) for definition in definitions) <= 8
    assert len({word for definition in definitions for word in definition.split()}) <= 16

from __future__ import annotations

from collections import Counter

import pytest
from prompt_case import prompts

from synthgap.errors import ParamsError
from synthgap.generation.prompts.schemes import prompt_writer

CLASSES = ("cat", "snow_leopard")
WORDS = """\
cat: {hypernym: pet, definition: it purrs}
snow_leopard: {hypernym: big cat, definition: it does not}
"""
SCENES = [f"scene {number}" for number in range(12)]


@pytest.fixture
def given(tmp_path):
    (tmp_path / "classes.yaml").write_text(WORDS)
    (tmp_path / "scenes.txt").write_text("\n".join(SCENES))
    (tmp_path / "templates.txt").write_text("# ours\na {class}\n\nthe {class}, {definition}\n")
    (tmp_path / "said.csv").write_text(
        'class,caption\ncat,"a cat, asleep"\nsnow_leopard,Snow leopards leap\n'
        "cat,cat food\nsnow_leopard,a snow leopard\n"
    )
    return prompts(
        classes="classes.yaml",
        backgrounds="scenes.txt",
        templates="templates.txt",
        captions="said.csv",
    )


def writer(given, root, scheme, classes=CLASSES, seed=1):
    return prompt_writer(scheme, given, classes, root=root, seed=seed)


@pytest.mark.parametrize(
    ("scheme", "prompt"),
    [
        ("template", "a photo of a snow leopard"),
        ("name", "snow leopard"),
        ("hypernym", "snow leopard, big cat"),
        ("definition", "snow leopard, it does not"),
    ],
)
def test_a_fixed_scheme_says_the_same_of_every_image(given, tmp_path, scheme, prompt):
    asks = writer(given, tmp_path, scheme)
    assert {asks(1, number) for number in range(20)} == {prompt}
    assert asks.names_class


def test_every_class_and_scene_pair_comes_before_any_repeats(given, tmp_path):
    asks = writer(given, tmp_path, "background")
    for label, words in enumerate(("cat, pet", "snow leopard, big cat")):
        pairs = {f"{words} inside {scene}" for scene in SCENES}
        passes = [
            [asks(label, 12 * pass_number + number) for number in range(12)]
            for pass_number in range(3)
        ]
        assert [set(one) for one in passes] == [pairs] * 3
        assert len({tuple(one) for one in passes}) == 3  # each pass shuffles anew
    first = [
        [asks(label, number).partition("inside")[2] for number in range(12)] for label in (0, 1)
    ]
    assert first[0] != first[1]


def test_a_prompt_is_a_function_of_seed_class_and_number(given, tmp_path):
    asks = writer(given, tmp_path, "background")
    forwards = [asks(1, number) for number in range(40)]
    again = writer(given, tmp_path, "background")
    assert [again(1, number) for number in reversed(range(40))] == forwards[::-1]
    assert [writer(given, tmp_path, "background", seed=2)(1, n) for n in range(40)] != forwards


def test_templates_come_equally_often_and_may_use_every_word(given, tmp_path):
    asks = writer(given, tmp_path, "templates")
    assert Counter(asks(0, number) for number in range(10)) == {"a cat": 5, "the cat, it purrs": 5}
    assert asks.choices(0) == 2


def test_a_template_with_a_scene_draws_scenes_too(given, tmp_path):
    (tmp_path / "templates.txt").write_text("{class} in {background}\n{class} by {background}\n")
    asks = writer(given, tmp_path, "templates")
    assert len({asks(0, number) for number in range(24)}) == 24


def test_captions_are_those_of_the_class_and_need_not_name_it(given, tmp_path):
    asks = writer(given, tmp_path, "captions")
    assert {asks(0, number) for number in range(2)} == {"a cat, asleep", "cat food"}
    assert not asks.names_class  # `leopards` is another word than `leopard`
    text = (tmp_path / "said.csv").read_text().replace("Snow leopards leap", "A SNOW leopard")
    (tmp_path / "said.csv").write_text(text)
    assert writer(given, tmp_path, "captions").names_class


def test_a_class_called_like_a_place_is_not_filled_again(given, tmp_path):
    (tmp_path / "classes.yaml").write_text('cat: {name: "{definition}", definition: it purrs}\n')
    assert writer(given, tmp_path, "definition", ["cat"])(0, 0) == "{definition}, it purrs"


def test_content_is_all_that_determines_prompts_and_no_more(given, tmp_path):
    digests = {scheme: writer(given, tmp_path, scheme).digest for scheme in ("name", "definition")}
    assert digests["name"] != digests["definition"]
    (tmp_path / "classes.yaml").write_text(WORDS.replace("purrs", "hisses"))
    assert writer(given, tmp_path, "name").digest == digests["name"]
    assert writer(given, tmp_path, "definition").digest != digests["definition"]
    before = writer(given, tmp_path, "background").digest
    (tmp_path / "scenes.txt").write_text("\n".join([*SCENES, "one more"]))
    assert writer(given, tmp_path, "background").digest != before
    prompts = writer(given, tmp_path, "captions")
    assert prompts.content["captions"]["cat"] == ["a cat, asleep", "cat food"]
    assert prompts.spoken == {"cat": "cat", "snow_leopard": "snow leopard"}


@pytest.mark.parametrize(
    ("scheme", "file"),
    [("templates", "templates"), ("background", "backgrounds"), ("captions", "captions")],
)
def test_a_scheme_without_its_file_is_told(tmp_path, scheme, file):
    with pytest.raises(ParamsError, match=rf"prompts.{file}: null, but prompt scheme {scheme}"):
        writer(prompts(), tmp_path, scheme)


@pytest.mark.parametrize("scheme", ["hypernym", "definition", "background"])
def test_a_scheme_without_its_words_is_told(given, tmp_path, scheme):
    (tmp_path / "classes.yaml").write_text("{}")
    with pytest.raises(ParamsError, match=r"for classes cat, snow_leopard; expected one for every"):
        writer(given, tmp_path, scheme)


@pytest.mark.parametrize("template", ["a {klass} of {class}", "a photo", "{class} {}"])
def test_a_template_with_a_strange_place_is_told(tmp_path, template):
    with pytest.raises(ParamsError, match=r"prompts.template: .*expected \{class"):
        writer(prompts(template=template), tmp_path, "template")

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from synthgap.errors import ParamsError
from synthgap.params import parse_params
from synthgap.params.recipes import (
    WHOLE,
    applied,
    opening_comment,
    recipe_names,
    recipe_text,
    resolve,
)

RECIPES = Path(__file__).resolve().parents[3] / "recipes"
NAMES = (
    "digits", "folder", "mtg_imagenet100", "mtg_pets", "fitymi_imagenet100", "fitymi_imagenet1k",
    "pgrg_cifar10", "pgrg_cub", "pgrg_flowers",
)  # fmt: skip


def default() -> str:
    return recipe_text(RECIPES, "digits")


def test_the_published_experiments_are_there():
    assert set(NAMES) <= set(recipe_names(RECIPES))
    assert recipe_names(RECIPES)[0] == "digits"


@pytest.mark.parametrize("name", recipe_names(RECIPES))
def test_a_recipe_resolves_to_params_of_its_name(name):
    params = parse_params(resolve(RECIPES, name), place=name)
    assert params.recipe == name


@pytest.mark.parametrize("name", recipe_names(RECIPES))
def test_a_recipe_says_what_it_is_and_what_to_import(name):
    about = opening_comment(recipe_text(RECIPES, name))
    assert about.startswith(f"# {name}: ")
    assert "synthgap data import" in about
    assert "Expected" in about


@pytest.mark.parametrize("name", [name for name in recipe_names(RECIPES) if name != "digits"])
def test_an_overlay_holds_only_what_differs(name):
    base, overlay = (
        YAML(typ="safe", pure=True).load(recipe_text(RECIPES, key)) for key in ("digits", name)
    )
    same = [path for path, value in leaves(overlay) if found(base, path) == value]
    # what comes from a paper is easier to check against it when it is written out
    assert not [
        path
        for path in same
        if path[0] not in {"data", "validate", "training", "synthesize", "grid"}
    ]


def leaves(tree, path=()):
    for key, value in tree.items():
        if isinstance(value, dict) and key not in WHOLE:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def found(tree, path):
    for key in path:
        own_names = path[0] in {"rivals", "references", "protocols"}
        tree = tree.get(key, {}) if own_names else tree[key]
    return tree


def test_the_shipped_params_are_the_default_recipe(checkout):
    shipped = (checkout / "params.yaml").read_text(encoding="utf-8")
    text, _ = applied(shipped, RECIPES, "digits")
    assert parse_params(text, place="x") == parse_params(default(), place="y")


@pytest.mark.parametrize("name", recipe_names(RECIPES))
def test_there_and_back_gives_the_same_bytes(name):
    there, changes = applied(default(), RECIPES, name)
    assert parse_params(there, place=name) == parse_params(resolve(RECIPES, name), place=name)
    assert applied(there, RECIPES, name) == (there, [])
    back, undone = applied(there, RECIPES, "digits")
    assert back == default()
    assert {change.key for change in undone} == {change.key for change in changes}


def test_comments_of_the_user_stay_and_values_do_not():
    mine = re.sub(r"\n  epochs: .*", "\n  # ask Ada first\n  epochs: 7  # mine", default(), count=1)
    text, changes = applied(mine, RECIPES, "mtg_pets")
    assert "  # ask Ada first\n  epochs: 100  # mine\n" in text
    assert "training.epochs: 7 -> 100" in [str(change) for change in changes]


def test_the_opening_comment_follows_the_recipe_unless_it_is_the_users():
    text, _ = applied(default(), RECIPES, "mtg_pets")
    assert opening_comment(text) == opening_comment(recipe_text(RECIPES, "mtg_pets"))
    text, _ = applied("# mine\n" + default(), RECIPES, "mtg_pets")
    assert text.startswith("# mine\n")


def test_missing_and_unknown_keys_are_put_right():
    broken = re.sub(r"\n  momentum: .*", "\n  momentun: 0.5", default(), count=1)
    text, changes = applied(broken, RECIPES, "digits")
    assert parse_params(text, place="x") == parse_params(default(), place="y")
    assert [str(change) for change in changes] == [
        "training.momentun: 0.5 -> removed",
        "training.momentum: 0.9 (was missing)",
    ]


def test_options_of_another_network_do_not_linger():
    text, _ = applied(default(), RECIPES, "mtg_imagenet100")
    assert parse_params(text, place="x").student.options == {}


def test_an_unknown_recipe_is_refused_with_the_known_ones():
    with pytest.raises(ParamsError) as caught:
        resolve(RECIPES, "mtg_pet")
    assert "did you mean `mtg_pets`?" in str(caught.value)
    assert all(name in str(caught.value) for name in NAMES)


def test_a_folder_without_recipes_is_one_line(tmp_path):
    with pytest.raises(ParamsError, match=r"digits\.yaml: missing"):
        recipe_names(tmp_path)


def test_a_recipe_with_a_wrong_key_is_refused(tmp_path):
    (tmp_path / "digits.yaml").write_text(default())
    (tmp_path / "mine.yaml").write_text("recipe: mine\ntraining: {epoch: 3}\n")
    with pytest.raises(ParamsError, match=r"(?s)recipes/mine\.yaml over .*epoch: unknown key"):
        resolve(tmp_path, "mine")

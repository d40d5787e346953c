from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from synthgap.cli import main
from synthgap.params import read_params


@pytest.fixture
def here(checkout: Path, tmp_path, monkeypatch) -> Path:
    shutil.copytree(checkout / "recipes", tmp_path / "recipes")
    shutil.copy(tmp_path / "recipes" / "digits.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_list_names_every_recipe_in_a_line(here, capsys):
    assert main(["recipe", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "digits",
        *sorted(path.stem for path in (here / "recipes").glob("*.yaml") if path.stem != "digits"),
    ]
    assert all(len(line.split()) > 3 for line in lines)


def test_show_prints_the_file(here, capsys):
    assert main(["recipe", "show", "mtg_pets"]) == 0
    assert capsys.readouterr().out == (here / "recipes" / "mtg_pets.yaml").read_text()


def test_use_sets_params_and_says_what_changed(here, capsys):
    assert main(["recipe", "use", "folder"]) == 0
    output = capsys.readouterr().out
    assert read_params(here / "params.yaml").recipe == "folder"
    assert 'recipe: "digits" -> "folder"' in output
    assert "synthgap data import folder" in output
    assert main(["recipe", "use", "digits"]) == 0
    assert (here / "params.yaml").read_bytes() == (here / "recipes" / "digits.yaml").read_bytes()


def test_use_makes_params_where_there_are_none(here):
    (here / "params.yaml").unlink()
    assert main(["recipe", "use", "mtg_imagenet100"]) == 0
    assert read_params(here / "params.yaml").recipe == "mtg_imagenet100"


def test_an_unknown_recipe_changes_nothing(here, capsys):
    before = (here / "params.yaml").read_bytes()
    assert main(["recipe", "use", "imagenet"]) == 1
    assert "expected one of digits" in capsys.readouterr().err
    assert (here / "params.yaml").read_bytes() == before


def test_unreadable_params_are_left_alone(here, capsys):
    (here / "params.yaml").write_text("recipe: [\n")
    assert main(["recipe", "use", "digits"]) == 1
    assert capsys.readouterr().err.startswith("synthgap: params.yaml: no valid YAML")
    assert (here / "params.yaml").read_text() == "recipe: [\n"


def test_elsewhere_than_in_a_checkout_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["recipe", "list"]) == 1
    assert "run in the root of a synthgap checkout" in capsys.readouterr().err

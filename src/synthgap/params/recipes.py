"""Recipes: `recipes/digits.yaml` is the complete default, the others hold only what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from synthgap.errors import ParamsError
from synthgap.params.editing import Change, dump, formatted, load, put, tidied
from synthgap.params.reading import parse_params
from synthgap.params.wording import did_you_mean

if TYPE_CHECKING:
    from ruamel.yaml.comments import CommentedMap

DEFAULT = "digits"
WHOLE = frozenset({"options", "pin", "settings", "space"})
"""Mappings that a recipe replaces as a whole: one network's options mean nothing to another."""


def recipe_names(folder: Path) -> list[str]:
    """Names of the recipes in `folder`, the default first.

    Raises:
        ParamsError: there is no default recipe in it.
    """
    if not (folder / f"{DEFAULT}.yaml").is_file():
        raise ParamsError(
            f"{folder / DEFAULT}.yaml: missing, expected the default recipe; "
            "run in the root of a synthgap checkout"
        )
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    return [DEFAULT, *(name for name in names if name != DEFAULT)]


def recipe_text(folder: Path, name: str) -> str:
    """The file of a recipe, comments and all.

    Raises:
        ParamsError: there is no such recipe; the line names those there are.
    """
    names = recipe_names(folder)
    if name not in names:
        raise ParamsError(
            f"recipe {name!r}: unknown{did_you_mean(name, names)}; "
            f"expected one of {', '.join(names)}"
        )
    return (folder / f"{name}.yaml").read_text(encoding="utf-8")


def opening_comment(text: str) -> str:
    """The comment that a recipe opens with, marks and line ends included."""
    lines = text.splitlines(keepends=True)
    return "".join(takewhile(lambda line: line.startswith("#"), lines))


def resolve(folder: Path, name: str) -> str:
    """The complete params.yaml of a recipe, as text.

    Raises:
        ParamsError: there is no such recipe, or what it says cannot be run.
    """
    tree = load(recipe_text(folder, DEFAULT), f"recipes/{DEFAULT}.yaml")
    if name != DEFAULT:
        overlay = load(recipe_text(folder, name), f"recipes/{name}.yaml")
        for _ in _changes(tree, overlay, "", complete=False):
            pass
    text = dump(tree)
    parse_params(text, place=f"recipes/{name}.yaml over recipes/{DEFAULT}.yaml")
    return text


def applied(text: str, folder: Path, name: str) -> tuple[str, list[Change]]:
    """The params.yaml `text` with a recipe's values and its own comments, and what changed.

    An opening comment that is another recipe's gives way to this one's.

    Raises:
        ParamsError: there is no such recipe, or `text` is no YAML.
    """
    tree = load(text, "params.yaml")
    target = load(resolve(folder, name), f"recipes/{name}.yaml")
    changes = list(_changes(tree, target, "", complete=True))
    if not changes:
        return text, []
    before, after = opening_comment(text), opening_comment(recipe_text(folder, name))
    shipped = {opening_comment(recipe_text(folder, other)) for other in recipe_names(folder)}
    text = tidied(dump(tree), changes)
    return (after + text.removeprefix(before) if before in shipped else text), changes


def _changes(
    tree: CommentedMap, target: CommentedMap, path: str, *, complete: bool
) -> Iterator[Change]:
    """Set the values of `target` in `tree`; `complete` also removes what `target` does not have."""
    for key in [key for key in tree if complete and key not in target]:
        yield Change(f"{path}{key}", formatted(tree.pop(key)), None)
    for position, (key, value) in enumerate(target.items()):
        before = tree.get(key)
        if key not in tree:
            tree.insert(position if complete else len(tree), key, value)
            yield Change(f"{path}{key}", None, formatted(value))
        elif key not in WHOLE and _is_mapping(value) and _is_mapping(before):
            yield from _changes(before, value, f"{path}{key}.", complete=complete)
        elif formatted(before) != formatted(value):
            put(tree, key, value)
            yield Change(f"{path}{key}", formatted(before), formatted(value))


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)

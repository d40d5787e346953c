"""Recipes: `recipes/digits.yaml` is the complete default, the others hold only what differs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from synthgap.errors import ParamsError
from synthgap.params.reading import parse_params
from synthgap.params.wording import did_you_mean

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.nodes import Node, ScalarNode
    from ruamel.yaml.representer import RoundTripRepresenter

DEFAULT = "digits"
WHOLE = frozenset({"options", "pin"})
"""Mappings that a recipe replaces as a whole: one network's options mean nothing to another."""


@dataclass(frozen=True)
class Change:
    """One value that a recipe sets; None where the key was not there, or is no longer."""

    key: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """Say it in one line."""
        if self.before is None:
            return f"{self.key}: {self.after} (was missing)"
        return f"{self.key}: {self.before} -> {self.after or 'removed'}"


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
    known = recipe_names(folder)
    if name not in known:
        raise ParamsError(
            f"recipe {name!r}: unknown{did_you_mean(name, known)}; "
            f"expected one of {', '.join(known)}"
        )
    return (folder / f"{name}.yaml").read_text(encoding="utf-8")


def opening(text: str) -> str:
    """The comment that a recipe opens with, marks and line ends included."""
    lines = text.splitlines(keepends=True)
    return "".join(takewhile(lambda line: line.startswith("#"), lines))


def resolve(folder: Path, name: str) -> str:
    """The complete params.yaml of a recipe, as text.

    Raises:
        ParamsError: there is no such recipe, or what it says cannot be run.
    """
    tree = _load(recipe_text(folder, DEFAULT), f"recipes/{DEFAULT}.yaml")
    if name != DEFAULT:
        overlay = _load(recipe_text(folder, name), f"recipes/{name}.yaml")
        for _ in _changes(tree, overlay, "", complete=False):
            pass
    text = _dump(tree)
    parse_params(text, place=f"recipes/{name}.yaml over recipes/{DEFAULT}.yaml")
    return text


def applied(text: str, folder: Path, name: str) -> tuple[str, list[Change]]:
    """The params.yaml `text` with a recipe's values and its own comments, and what changed.

    An opening comment that is another recipe's gives way to this one's.

    Raises:
        ParamsError: there is no such recipe, or `text` is no YAML.
    """
    tree = _load(text, "params.yaml")
    target = _load(resolve(folder, name), f"recipes/{name}.yaml")
    changes = list(_changes(tree, target, "", complete=True))
    if not changes:
        return text, []
    before, after = opening(text), opening(recipe_text(folder, name))
    shipped = {opening(recipe_text(folder, known)) for known in recipe_names(folder)}
    text = _tidied(_dump(tree), changes)
    return (after + text.removeprefix(before) if before in shipped else text), changes


def _changes(
    tree: CommentedMap, target: CommentedMap, path: str, *, complete: bool
) -> Iterator[Change]:
    """Set the values of `target` in `tree`; `complete` also removes what `target` does not have."""
    for key in [key for key in tree if complete and key not in target]:
        yield Change(f"{path}{key}", _shown(tree.pop(key)), None)
    for position, (key, value) in enumerate(target.items()):
        before = tree.get(key)
        if key not in tree:
            tree.insert(position if complete else len(tree), key, value)
            yield Change(f"{path}{key}", None, _shown(value))
        elif key not in WHOLE and _is_mapping(value) and _is_mapping(before):
            yield from _changes(before, value, f"{path}{key}.", complete=complete)
        elif _shown(before) != _shown(value):
            _set(tree, key, value)
            yield Change(f"{path}{key}", _shown(before), _shown(value))


def _set(tree: CommentedMap, key: str, value: object) -> None:
    """Replace a value and keep the comment behind it, which ruamel hangs on lists themselves."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    before = tree[key]
    if isinstance(value, CommentedSeq | CommentedMap) and isinstance(
        before, CommentedSeq | CommentedMap
    ):
        value.ca.comment = before.ca.comment
    tree[key] = value


def _tidied(text: str, changes: list[Change]) -> str:
    """Put the comments of changed lines back at two spaces: ruamel keeps their old column."""
    lines = text.splitlines(keepends=True)
    root = _yaml().compose(text)
    for change in changes:
        node = _find(root, change.key.split("."))
        if node is not None and node.start_mark.line == node.end_mark.line:
            line, end = lines[node.end_mark.line], node.end_mark.column
            comment = line[end:].lstrip(" ")
            if comment.startswith("#"):
                lines[node.end_mark.line] = f"{line[:end]}  {comment}"
    return "".join(lines)


def _find(node: Node | None, keys: list[str]) -> Node | None:
    for wanted in keys:
        pairs = node.value if node is not None else []
        node = next((value for key, value in pairs if key.value == wanted), None)
    return node


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _shown(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _yaml() -> YAML:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.Representer = _representer()
    return yaml


@cache
def _representer() -> type[RoundTripRepresenter]:
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Writes `null` out; a class of its own, because DVC uses the base in this process."""

    def write_null(representer: RoundTripRepresenter, _: None) -> ScalarNode:
        return representer.represent_scalar("tag:yaml.org,2002:null", "null")

    Representer.add_representer(type(None), write_null)
    return Representer


def _load(text: str, place: str) -> CommentedMap:
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import YAMLError

    try:
        tree = _yaml().load(text)
    except YAMLError as error:
        problem = " ".join(str(getattr(error, "problem", error)).split())
        raise ParamsError(f"{place}: no valid YAML ({problem}); mend it") from error
    if not isinstance(tree, CommentedMap):
        raise ParamsError(f"{place}: expected sections such as `training:`")
    return tree


def _dump(tree: CommentedMap) -> str:
    stream = io.StringIO()
    _yaml().dump(tree, stream)
    return stream.getvalue()

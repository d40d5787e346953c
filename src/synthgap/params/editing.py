"""params.yaml as a tree that keeps its comments: loaded, changed key by key, written back."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from synthgap.errors import ParamsError
from synthgap.params.overriding import composed, overridden, value_at
from synthgap.params.reading import parse_params

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.nodes import Node, ScalarNode
    from ruamel.yaml.representer import RoundTripRepresenter


@dataclass(frozen=True)
class Change:
    """One value that is set, as JSON; None where the key was not there, or is no longer."""

    key: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """Say it in one line."""
        if self.before is None:
            return f"{self.key}: {self.after} (was missing)"
        return f"{self.key}: {self.before} -> {self.after or 'removed'}"


def put(tree: CommentedMap, key: str, value: object) -> None:
    """Replace a value and keep the comment behind it, which ruamel hangs on lists themselves."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    before = tree[key]
    if isinstance(value, CommentedSeq | CommentedMap) and isinstance(
        before, CommentedSeq | CommentedMap
    ):
        value.ca.comment = before.ca.comment
    tree[key] = value


def tidied(text: str, changes: Sequence[Change]) -> str:
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
    """The node at the keys, or the list or braces around it, behind which its comment stands."""
    from ruamel.yaml.nodes import MappingNode

    for wanted in keys:
        if not isinstance(node, MappingNode) or node.flow_style:
            return node
        node = next((value for key, value in node.value if key.value == wanted), None)
    return node


def formatted(value: object) -> str:
    """A value of a tree in one line, as JSON."""
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


def load(text: str, place: str) -> CommentedMap:
    """Read YAML with its comments; `place` names it in messages.

    Raises:
        ParamsError: it is no YAML, or holds no sections.
    """
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


def dump(tree: CommentedMap) -> str:
    """The tree as text, comments included."""
    stream = io.StringIO()
    _yaml().dump(tree, stream)
    return stream.getvalue()


SETS = "grid.synthetic_sets"


def edited(text: str, values: Mapping[str, object], *, place: str) -> tuple[str, list[Change]]:
    """The text of a params.yaml with each key's value in place of what is there.

    Keys are those of `params/overriding.py`: parts of a set's name are composed, and a set that
    grid.synthetic_sets does not hold is added there. Values that stand there already change
    nothing. `place` names the text in messages.

    Raises:
        ParamsError: the text is no params.yaml, a key is unknown, or the result could not be run.
    """
    params = parse_params(text, place=place)
    news = {key: value for key, value in values.items() if value_at(params, key) != value}
    changed = overridden(params, news, place=place)
    keys = [
        key for key in composed(params, news) if value_at(changed, key) != value_at(params, key)
    ]
    if changed.grid != params.grid:
        keys.append(SETS)
    if not keys:
        return text, []
    tree = load(text, place)
    changes = [_assigned(tree, key, value_at(changed, key)) for key in keys]
    result = tidied(dump(tree), changes)
    if parse_params(result, place=f"{place}, changed") != changed:
        listed = "; ".join(map(str, changes))
        raise ParamsError(f"{place}: {listed} read back as other values; write them by hand")
    return result, changes


def _assigned(tree: Any, key: str, value: object) -> Change:  # noqa: ANN401 - any part of a tree
    *path, last = key.split(".")
    parent = tree
    for name in path:
        parent = parent[_index(parent, name)]
    index = _index(parent, last)
    before = formatted(parent[index])
    if isinstance(value, tuple):
        _refill(parent[index], value)
    elif isinstance(parent, list):
        parent[index] = value
    else:
        put(parent, index, value)
    return Change(key, before, formatted(parent[index]))


def _index(parent: object, name: str) -> Any:  # noqa: ANN401 - a key, or a place in a list
    return int(name) if isinstance(parent, list) else name


def _refill(listed: CommentedSeq, values: tuple[object, ...]) -> None:
    """Change a list in its place, so that comments inside it stay with their values."""
    for index, value in enumerate(values[: len(listed)]):
        if listed[index] != value:
            listed[index] = value
    listed.extend(values[len(listed) :])
    del listed[len(values) :]

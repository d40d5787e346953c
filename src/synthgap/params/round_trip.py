"""params.yaml as a tree that keeps its comments: loaded, changed key by key, written back."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from synthgap.errors import ParamsError

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
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


def shown(value: object) -> str:
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

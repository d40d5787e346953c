"""params.yaml, read in one place into the frozen sections; everything wrong is named together.

The parser is the one that DVC uses (ruamel.yaml, YAML 1.2), so that a value means the same in a
stage as in a cell's name, and whatever `dvc exp run -S` writes is readable here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from synthgap.errors import ParamsError
from synthgap.params.contradictions import contradictions
from synthgap.params.sections import Params
from synthgap.params.spaces import study_problems
from synthgap.params.wording import allowed, any_of, did_you_mean, unknown

if TYPE_CHECKING:
    from ruamel.yaml.nodes import MappingNode, Node

NAMED_AFTER = frozenset({"guidance_scale", "guidance_scales"})
"""Fields whose numbers become folder and cell names: `2` and `2.0` would be two names."""


def read_params(path: Path) -> Params:
    """Read `path` into typed sections.

    Raises:
        ParamsError: the file is missing, is no YAML, or holds unknown, missing, mistyped or
            contradictory keys; one line each, all of them in one message.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ParamsError(
            f"{path}: {error.strerror}; run in the root of a synthgap checkout"
        ) from error
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    return parse_params(text, place=str(path))


def parse_params(text: str, *, place: str) -> Params:
    """Read the text of a params.yaml; `place` names it in messages.

    Raises:
        ParamsError: see `read_params`.
    """
    params = parse_section(text, Params, place=place)
    assert isinstance(params, Params)
    return params


def parse_section(text: str, shape: type, *, place: str) -> object:
    """Read the text of one section, or of a shape made of sections.

    Raises:
        ParamsError: see `read_params`.
    """
    reader, root = _Reader(), _root(text, place)
    section = reader.section(root, shape, "")
    if isinstance(section, Params):  # what sections say against each other
        for problem in (*contradictions(section), *study_problems(section)):
            reader.contradiction(root, problem, "")
    if reader.problems:
        count = len(reader.problems)
        heading = f"{place}: {count} problem{'s' if count > 1 else ''}, nothing was run"
        raise ParamsError("\n  ".join([heading, *reader.problems]))
    return section


def section_dict(section: object) -> dict[str, Any]:
    """A section, or a stage's shape made of sections, as plain JSON-able containers."""
    assert is_dataclass(section)
    return {item.name: _plain(getattr(section, item.name)) for item in fields(section)}


def _plain(value: object) -> object:
    if is_dataclass(value):
        return section_dict(value)
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def yaml_tree(text: str, place: str) -> Node | None:
    """The root node of YAML text that `place` names in messages; None where it is empty.

    Raises:
        ParamsError: it is no YAML.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        node: Node | None = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}:" if error.problem_mark else ""
        problem = " ".join((error.problem or "unreadable").split())
        raise ParamsError(f"{place}:{line} no valid YAML ({problem}); mend that line") from error
    except YAMLError as error:
        problem = " ".join(str(error).split())
        raise ParamsError(f"{place}: no valid YAML ({problem}); mend it") from error
    return node


def _root(text: str, place: str) -> MappingNode:
    from ruamel.yaml.nodes import MappingNode

    node = yaml_tree(text, place)
    if not isinstance(node, MappingNode):
        raise ParamsError(
            f"{place}: expected sections such as `training:`; "
            "restore it with `git checkout params.yaml`"
        )
    return node


class _Wrong:
    """What a value that was refused reads as, so that reading goes on."""


_WRONG = _Wrong()


@dataclass
class _Reader:
    """Collects problems while it turns YAML nodes into the types that dataclass fields name."""

    problems: list[str] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)

    def section(self, node: Node, shape: Callable[..., object], path: str) -> object:
        """One dataclass from one mapping; `_WRONG` where any of it was refused."""
        from ruamel.yaml.nodes import MappingNode

        if not isinstance(node, MappingNode):
            self._refuse(node, path, f"{_text_of(node)}, expected the section's keys")
            return _WRONG
        wanted = get_type_hints(shape)
        given = self._keys(node, wanted, path)
        for name in wanted:
            if name not in given:
                self._refuse(node, _join(path, name), f"missing, expected {allowed(wanted[name])}")
        values = {
            name: self.value(given[name], kind, _join(path, name))
            for name, kind in wanted.items()
            if name in given
        }
        if len(values) < len(wanted) or any(value is _WRONG for value in values.values()):
            return _WRONG
        section = shape(**values)
        for problem in section.problems() if hasattr(section, "problems") else ():
            self.contradiction(node, problem, path)
        return section

    def value(self, node: Node, kind: object, path: str) -> object:
        """One value of type `kind`; `_WRONG` where it was refused."""
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        self.nodes[path] = node
        kinds = _alternatives(kind)
        shape = next(
            (part for part in kinds if isinstance(part, type) and is_dataclass(part)), None
        )
        # an interval or a list of values
        listed = isinstance(node, SequenceNode) and len(kinds) > 1
        if shape is not None and not listed and not _is_null(node, kinds):
            return self.section(node, shape, path)
        if isinstance(node, SequenceNode):
            return self._list(node, kinds, path)
        if isinstance(node, MappingNode):
            return self._mapping(node, kinds, path)
        found = _scalar(node)
        if any(_fits(found, part, _last(path)) for part in kinds):
            return float(found) if type(found) is int and int not in kinds else found
        self._refuse(node, path, f"{_text_of(node)}, expected {allowed(kind)}{_hint(node, kinds)}")
        return _WRONG

    def _list(self, node: Node, kinds: Sequence[Any], path: str) -> object:
        kind = next((part for part in kinds if get_origin(part) is tuple), None)
        if kind is None:
            self._refuse(node, path, f"a list, expected {any_of(map(allowed, kinds))}")
            return _WRONG
        inner = get_args(kind)
        if inner[-1] is not Ellipsis and len(inner) != len(node.value):
            self._refuse(node, path, f"{len(node.value)} values, expected {allowed(kind)}")
            return _WRONG
        values = [
            self.value(
                part, inner[0] if inner[-1] is Ellipsis else inner[index], f"{path}[{index}]"
            )
            for index, part in enumerate(node.value)
        ]
        return _WRONG if any(value is _WRONG for value in values) else tuple(values)

    def _mapping(self, node: MappingNode, kinds: Sequence[Any], path: str) -> object:
        kind = next((part for part in kinds if get_origin(part) is dict), None)
        if kind is None:
            self._refuse(node, path, f"keys, expected {any_of(map(allowed, kinds))}")
            return _WRONG
        given = self._keys(node, None, path)
        values = {
            name: self.value(part, get_args(kind)[1], _join(path, name))
            for name, part in given.items()
        }
        return _WRONG if any(value is _WRONG for value in values.values()) else values

    def _keys(
        self, node: MappingNode, wanted: Mapping[str, Any] | None, path: str
    ) -> dict[str, Node]:
        given: dict[str, Node] = {}
        for key, part in node.value:
            name = str(key.value)
            if name in given:
                self._refuse(key, _join(path, name), "given twice; keep one of the two lines")
            elif wanted is not None and name not in wanted:
                self._refuse(key, _join(path, name), f"unknown key{unknown(name, wanted)}")
            else:
                given[name] = part
        return given

    def contradiction(self, section: Node, problem: str, path: str) -> None:
        """Note what a section says against itself, or another."""
        named = re.match(r"[\w.]+(?=[:\[])", problem)
        place = self.nodes.get(_join(path, named[0])) if named else None
        if place is None:
            self._refuse(section, path, problem)
        else:
            self._refuse(place, "", _join(path, problem))

    def _refuse(self, node: Node, path: str, problem: str) -> None:
        where = f"line {node.start_mark.line + 1}"
        self.problems.append(f"{where}: {path}: {problem}" if path else f"{where}: {problem}")


def _scalar(node: Node) -> object:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).constructor.construct_object(node)
    except (YAMLError, ValueError):  # a tag of its own, or a date that is none
        return _WRONG


def _alternatives(kind: object) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)


def _is_null(node: Node, kinds: Sequence[Any]) -> bool:
    return NoneType in kinds and str(node.tag).endswith(":null")


def _fits(found: object, kind: object, name: str) -> bool:
    if get_origin(kind) is Literal:
        return any(type(found) is type(word) and found == word for word in get_args(kind))
    if kind is float:
        if type(found) is int:
            return name not in NAMED_AFTER
        return type(found) is float and math.isfinite(found)
    return isinstance(kind, type) and type(found) is kind


def _hint(node: Node, kinds: Sequence[Any]) -> str:
    text, tag = str(node.value), str(node.tag)
    if float in kinds and tag.endswith(":int"):
        return f"; write {text}.0, since it becomes part of folder names"
    if {int, float} & set(kinds) and tag.endswith(":str") and _is_number(text):
        return "; write it without quotes"
    return did_you_mean(text, [word for kind in kinds for word in get_args(kind)])


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text.strip()) is not None


def _text_of(node: Node) -> str:
    from ruamel.yaml.nodes import ScalarNode, SequenceNode

    if not isinstance(node, ScalarNode):
        return "a list" if isinstance(node, SequenceNode) else "keys"
    return repr(node.value) if str(node.tag).endswith(":str") else str(node.value or "null")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _last(path: str) -> str:
    return path.rpartition(".")[2].partition("[")[0]

"""params.yaml changed by keys: comments stay, and what would not parse is not written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synthgap.errors import ParamsError
from synthgap.params.overriding import composed, overridden, value_at
from synthgap.params.reading import parse_params
from synthgap.params.round_trip import Change, dump, load, put, shown, tidied

if TYPE_CHECKING:
    from ruamel.yaml.comments import CommentedSeq

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
        told = "; ".join(map(str, changes))
        raise ParamsError(f"{place}: {told} read back as other values; write them by hand")
    return result, changes


def _assigned(tree: Any, key: str, value: object) -> Change:  # noqa: ANN401 - any part of a tree
    *path, last = key.split(".")
    parent = tree
    for name in path:
        parent = parent[_index(parent, name)]
    index = _index(parent, last)
    before = shown(parent[index])
    if isinstance(value, tuple):
        _refill(parent[index], value)
    elif isinstance(parent, list):
        parent[index] = value
    else:
        put(parent, index, value)
    return Change(key, before, shown(parent[index]))


def _index(parent: object, name: str) -> Any:  # noqa: ANN401 - a key, or a place in a list
    return int(name) if isinstance(parent, list) else name


def _refill(listed: CommentedSeq, values: tuple[object, ...]) -> None:
    """Change a list in its place, so that comments inside it stay with their values."""
    for index, value in enumerate(values[: len(listed)]):
        if listed[index] != value:
            listed[index] = value
    listed.extend(values[len(listed) :])
    del listed[len(values) :]

"""Values put over params by their keys, held to the types and ranges that params.yaml is held to.

A key is a path such as `guide.rg.lambda_1`, `protocols.low-shot.real_per_class` or
`training.local_crops.scale.0`. Behind `guide.image_set` follow parts of a synthetic set's name:
`guide.image_set.guidance_scale`, `.scheme`, `.steps`, `.rival`, `.factor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from synthgap.errors import ParamsError
from synthgap.params.contradictions import contradictions
from synthgap.params.synthesis import SetName
from synthgap.params.wording import allowed, unknown

if TYPE_CHECKING:
    from synthgap.params.sections import Params

IMAGE_SET = "guide.image_set"
PARTS = tuple(item.name for item in fields(SetName))


def overridden(params: Params, values: Mapping[str, object], *, place: str) -> Params:
    """`params` with each key's value in place of what is there; `place` names them in messages.

    A synthetic set that is named and not in grid.synthetic_sets is added there.

    Raises:
        ParamsError: a key is unknown, or a value is mistyped, out of range or contradicts another.
    """
    changed = params
    for key, value in composed(params, values).items():
        section, *rest = key.split(".")
        kind = get_type_hints(type(params)).get(section)
        inside = _child(changed, section, f"{place}: {key}")
        found = _within(inside, kind, rest, value, f"{place}: {key}")
        changed = replace(changed, **{section: found})
    _check_sections(changed, composed(params, values), place)
    named = changed.guide.image_set
    if named != params.guide.image_set and named not in changed.grid.synthetic_sets:
        sets = (*changed.grid.synthetic_sets, named)
        changed = replace(changed, grid=replace(changed.grid, synthetic_sets=sets))
    before = set(contradictions(params))
    problems = [problem for problem in contradictions(changed) if problem not in before]
    if problems:
        settings = ", ".join(f"{key}={value}" for key, value in values.items())
        raise ParamsError(f"{place}: with {settings}: {'; '.join(problems)}")
    return changed


def composed(params: Params, values: Mapping[str, object]) -> dict[str, object]:
    """The same values with parts of the set's name joined into `guide.image_set`."""
    parts = {key: value for key, value in values.items() if key.startswith(f"{IMAGE_SET}.")}
    whole = {key: value for key, value in values.items() if key not in parts}
    if not parts:
        return whole
    before = str(whole.get(IMAGE_SET, params.guide.image_set))
    named = SetName.parse(before)
    if named is None:
        raise ParamsError(f"{IMAGE_SET}: {before!r}, expected a synthetic set's name")
    given: dict[str, Any] = {}
    hints = get_type_hints(SetName)
    for key, value in parts.items():
        part = key.removeprefix(f"{IMAGE_SET}.")
        if part not in hints:
            raise ParamsError(f"{key}: unknown key{unknown(part, PARTS)}")
        found = _fitting(value, hints[part], key)
        if found != _part(params, named, part):
            given[part] = None if found == _unsaid(params, part) else _rounded(found)
    return {**whole, IMAGE_SET: replace(named, **given).name}


def _part(params: Params, named: SetName, part: str) -> object:
    """What a set is made with: its name says it, or `synthesize` does."""
    value: object = getattr(named, part)
    return _unsaid(params, part) if value is None else value


def _unsaid(params: Params, part: str) -> object:
    """What holds where a set's name says nothing: naming it would be the same set twice."""
    if part in ("scheme", "steps"):
        return getattr(params.synthesize, part)
    return 1.0 if part == "factor" else None


def _rounded(value: object) -> object:
    """Without the last bits of 1.0 + 7 * 0.1, which would be another set."""
    return round(value, 6) if isinstance(value, float) else value


def value_at(params: Params, key: str) -> object:
    """What stands at a key.

    Raises:
        ParamsError: there is no such key.
    """
    if key.startswith(f"{IMAGE_SET}."):
        named = SetName.parse(params.guide.image_set)
        part = key.removeprefix(f"{IMAGE_SET}.")
        if named is None or part not in PARTS:
            raise ParamsError(f"{key}: unknown key{unknown(part, PARTS)}")
        return _part(params, named, part)
    found: Any = params
    for name in key.split("."):
        found = _child(found, name, key)
    return found


def _child(parent: Any, name: str, key: str) -> Any:  # noqa: ANN401 - any value of params.yaml
    if is_dataclass(parent):
        names = [item.name for item in fields(parent)]
        if name in names:
            return getattr(parent, name)
        raise ParamsError(f"{key}: unknown key{unknown(name, names)}")
    if isinstance(parent, Mapping) and name in parent:
        return parent[name]
    if isinstance(parent, tuple) and name.isdigit() and int(name) < len(parent):
        return parent[int(name)]
    options = sorted(parent) if isinstance(parent, Mapping) else []
    hint = f"; expected {', '.join(options)}" if options else ", expected no more names behind it"
    raise ParamsError(f"{key}: nothing is at {name!r}{hint}")


def _check_sections(params: Params, values: Mapping[str, object], place: str) -> None:
    """Hold every section that a key goes through to its ranges, once all values are there."""
    for key in values:
        section: Any = params
        for name in key.split("."):
            section = _child(section, name, key)
            problems = list(section.problems()) if hasattr(section, "problems") else []
            if problems:
                raise ParamsError(f"{place}: {key}: {'; '.join(problems)}")


def _put(parent: Any, path: list[str], value: object, place: str) -> Any:  # noqa: ANN401
    """A copy of a section, mapping or list with the value at the path."""
    name, rest = path[0], path[1:]
    child = _child(parent, name, place)
    if is_dataclass(parent) and not isinstance(parent, type):
        kind = get_type_hints(type(parent))[name]
        return replace(parent, **{name: _within(child, kind, rest, value, place)})
    if isinstance(parent, Mapping):
        kind = Any if rest else type(child)
        return {**parent, name: _within(child, kind, rest, value, place)}
    changed = list(parent)
    changed[int(name)] = _within(child, type(child), rest, value, place)
    return tuple(changed)


def _within(child: Any, kind: Any, rest: list[str], value: object, place: str) -> Any:  # noqa: ANN401
    return _put(child, rest, value, place) if rest else _fitting(value, kind, place)


def _fitting(value: object, kind: Any, place: str) -> object:  # noqa: ANN401 - a type of a field
    """The value as the type that the key has: whole numbers as numbers, lists as tuples."""
    kinds = get_args(kind) if get_origin(kind) not in {tuple, dict} and get_args(kind) else (kind,)
    words = [part for part in kinds if not isinstance(part, type) and get_origin(part) is None]
    if value is None and type(None) in kinds:
        return None
    if value in words or any(value in get_args(part) for part in kinds if _is_literal(part)):
        return value
    if isinstance(value, list | tuple) and any(get_origin(part) is tuple for part in kinds):
        return tuple(value)
    if type(value) in kinds:
        return value
    if float in kinds and type(value) is int:
        return float(value)
    if int in kinds and type(value) is float and value.is_integer():
        return int(value)
    raise ParamsError(f"{place}: {value!r}, expected {allowed(kind)}")


def _is_literal(kind: object) -> bool:
    from typing import Literal

    return get_origin(kind) is Literal

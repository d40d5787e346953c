"""Where two descriptions of studies differ: by key, with both values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from synthgap.cli.study_place import PARAMS, StudyPlace
from synthgap.cli.study_tell import is_default
from synthgap.errors import WorkError

if TYPE_CHECKING:
    from synthgap.params.sections import Params


LONGEST = 60  # characters of a value in a message


@dataclass(frozen=True)
class KeyDifference:
    """A key of params.yaml, or the path of an input, and what it is in each as JSON."""

    key: str
    then: str
    now: str


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[KeyDifference]:
    """Every key at which two nested mappings differ, in the order of `now`."""
    return _differences(then, now, "")


def _differences(then: Any, now: Any, path: str) -> Iterator[KeyDifference]:  # noqa: ANN401 - JSON
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in [*now, *(key for key in then if key not in now)]:
            inside = f"{path}.{key}" if path else str(key)
            if key not in then or key not in now:
                yield KeyDifference(inside, _value_text(then, key), _value_text(now, key))
            else:
                yield from _differences(then[key], now[key], inside)
    elif then != now and _plain(then) != _plain(now):
        yield KeyDifference(path, _short(then), _short(now))


def _value_text(mapping: Mapping[str, Any], key: str) -> str:
    return _short(mapping[key]) if key in mapping else "not there"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _plain(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


MAX_KEYS = 4
"""How many of the keys that differ from what a study held fixed are named."""


def apply(name: str, *, storage: str | None, dry_run: bool) -> int:
    """Write the winner into params.yaml, whole or not at all, and say every change."""
    from synthgap.jobs import whole_file
    from synthgap.params.editing import edited

    place = StudyPlace.here(storage)
    record = place.record(name)
    study, winner = record["study"], record["study"]["winner"]
    if winner is None:
        raise WorkError(
            f"study {name}: no winner yet, expected its finals to be done; "
            f"`synthgap study resume {name}` goes on"
        )
    if is_default(study):
        _say(f"study {name}: the default won; nothing to apply, {PARAMS} is as it was")
        return 0
    text, changes = edited(PARAMS.read_text(encoding="utf-8"), winner["tuned"], place=str(PARAMS))
    warning = fixed_elsewhere(record, place.params, winner["tuned"])
    if warning:
        _say(f"note: {warning}")
    for change in changes:
        _say(str(change))
    if not changes:
        _say(f"{PARAMS} has what study {name} found; nothing was changed")
    elif dry_run:
        _say(f"dry run: {len(changes)} values would change, nothing was written")
    else:
        with whole_file(PARAMS) as partial:
            partial.write_text(text, encoding="utf-8")
        _say(f"{PARAMS}: {len(changes)} values changed; `dvc repro` comes next")
    return 0


def fixed_elsewhere(
    record: Mapping[str, Any], params: Params, tuned: Mapping[str, object]
) -> str | None:
    """In one line, where params.yaml differs from what the study held fixed; None if nowhere."""
    pass
    from synthgap.params.reading import section_dict

    now = section_dict(params)
    then = {key: value for key, value in held_fixed(record).items() if key in now}
    found = differences(then, {key: now[key] for key in then})
    keys = [one for one in found if not any(_is_within(key, one.key) for key in tuned)]
    if not keys:
        return None
    listed = ", ".join(f"{one.key} {one.now} (study: {one.then})" for one in islice(keys, MAX_KEYS))
    more = f" and {len(keys) - MAX_KEYS} more" if len(keys) > MAX_KEYS else ""
    return f"{PARAMS} differs from what the study held fixed: {listed}{more}"


def held_fixed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of params.yaml as the study's trials had them, as far as its record says."""
    params = dict(record["params"])
    for own in ("tune", "study"):
        params.pop(own, None)
    return params


def _is_within(tuned: str, key: str) -> bool:
    """Whether a tuned key is what differs, or a part of it (of a list, of a set's name)."""
    return tuned == key or tuned.startswith(f"{key}.")


def _say(line: str) -> None:
    print(line)  # noqa: T201 - the command's answer

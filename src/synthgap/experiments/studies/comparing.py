"""Where two descriptions of studies differ: by key, with both values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 60  # characters of a value in a message


@dataclass(frozen=True)
class Difference:
    """A key of params.yaml, or the path of an input, and what it is in each as JSON."""

    key: str
    then: str
    now: str


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    """Every key at which two nested mappings differ, in the order of `now`."""
    return _differences(then, now, "")


def _differences(then: Any, now: Any, path: str) -> Iterator[Difference]:  # noqa: ANN401 - JSON
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in [*now, *(key for key in then if key not in now)]:
            inside = f"{path}.{key}" if path else str(key)
            if key not in then or key not in now:
                yield Difference(inside, _shown(then, key), _shown(now, key))
            else:
                yield from _differences(then[key], now[key], inside)
    elif then != now and _plain(then) != _plain(now):
        yield Difference(path, _short(then), _short(now))


def _shown(mapping: Mapping[str, Any], key: str) -> str:
    return _short(mapping[key]) if key in mapping else "not there"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _plain(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)

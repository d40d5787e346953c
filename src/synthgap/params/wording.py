"""Types of the sections in the words of someone who edits params.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

WORDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    NoneType: "null",
}


def allowed(kind: object) -> str:
    """What may stand where a value of type `kind` is read."""
    if get_origin(kind) is Literal:
        return any_of(str(word) for word in get_args(kind))
    if get_origin(kind) in {Union, UnionType}:
        return any_of(allowed(part) for part in get_args(kind))
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        count = "" if inner[-1] is Ellipsis else f"{len(inner)} values, each "
        return f"a list of {count}{allowed(inner[0])}"
    if is_dataclass(kind):
        return f"the keys {', '.join(item.name for item in fields(kind))}"
    return "names with values" if get_origin(kind) is dict else WORDS[kind]


def any_of(words: Iterable[str]) -> str:
    """The distinct words, joined by `or`."""
    return " or ".join(dict.fromkeys(words))


def unknown(name: str, wanted: Iterable[str]) -> str:
    """The nearest of the wanted names as a hint, else all of them."""
    return did_you_mean(name, wanted) or f"; expected {', '.join(wanted)}"


def did_you_mean(text: str, words: Iterable[object]) -> str:
    """The nearest text among `words` as a hint, or nothing."""
    close = get_close_matches(text, [word for word in words if isinstance(word, str)], n=1)
    return f"; did you mean `{close[0]}`?" if close else ""

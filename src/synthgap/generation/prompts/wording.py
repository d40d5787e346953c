"""What a class is called, and templates with places for its words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from synthgap.params.wording import did_you_mean

_PLACE = re.compile(r"\{(\w*)\}")
KNOWN = ("class", "hypernym", "definition", "background")
_LISTED = 5  # classes that a message names


@dataclass(frozen=True)
class ClassWords:
    """A class in words; None where its parent or definition is not given."""

    name: str
    hypernym: str | None = None
    definition: str | None = None


def phrase(folder: str) -> str:
    """A class folder's name as one says it: underscores are spaces."""
    return " ".join(folder.replace("_", " ").split())


def filled(template: str, words: ClassWords, background: str = "") -> str:
    """The template with a class's words, and a scene, in their places; nothing is filled twice."""
    words_by_place = {
        "class": words.name,
        "hypernym": words.hypernym,
        "definition": words.definition,
        "background": background,
    }
    return _PLACE.sub(lambda found: words_by_place[found[1]] or "", template)


def places(templates: Iterable[str]) -> set[str]:
    """Which of a class's words, or `background`, the templates have places for."""
    return {place for template in templates for place in _PLACE.findall(template)}


def template_problems(template: str, known: Sequence[str] = KNOWN) -> Iterator[str]:
    """Say what is wrong with a template: it must name the class, and have `known` places only."""
    unknown = sorted(places([template]) - set(known))
    if unknown:
        yield f"{{{unknown[0]}}} stands for nothing; expected {{{'}, {'.join(known)}}}"
    elif "class" not in places([template]):
        yield "it does not name the class; expected {class} in it"


def mentions(prompt: str, name: str) -> bool:
    """Whether the prompt contains the name's words side by side, whatever the case."""
    return f" {_plain(name)} " in f" {_plain(prompt)} "


def no_class(name: str, classes: Sequence[str]) -> str:
    """Say that a file's `name` is no class folder, and which may be meant."""
    several = f"{', '.join(classes[:_LISTED])}{', ...' if len(classes) > _LISTED else ''}"
    return f"{name!r} is no class{did_you_mean(name, classes) or f'; expected one of {several}'}"


def some(names: Sequence[str]) -> str:
    """The first few of some class folders, and how many there are."""
    more = f", ... ({len(names)} classes)" if len(names) > _LISTED else ""
    return f"class{'es' if len(names) > 1 else ''} {', '.join(names[:_LISTED])}{more}"


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.casefold())) or text

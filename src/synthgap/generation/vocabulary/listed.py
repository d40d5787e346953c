"""Lists that prompts draw from, one entry a line: templates, and scenes as Places365 names them."""

from __future__ import annotations

import re
from pathlib import Path

from synthgap.errors import ParamsError
from synthgap.generation.vocabulary.wording import template_problems

_PLACES365 = re.compile(r"/[a-z]/(\S+)(?:\s+\d+)?")  # /a/apartment_building/outdoor 8


def text_of(path: Path, *, place: str) -> str:
    """The text of a file that `place` in params.yaml names.

    Raises:
        ParamsError: it is missing or no UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ParamsError(
            f"{place}: {path}: {error.strerror}; expected a text file, write it or correct the name"
        ) from error
    except UnicodeDecodeError as error:
        raise ParamsError(
            f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8 ({place})"
        ) from error


def read_templates(path: Path) -> tuple[str, ...]:
    """Templates with {class}, one a line; empty lines and lines that begin with # are left out.

    Raises:
        ParamsError: there are none, one repeats, or one is no template.
    """
    place = "params.yaml, prompts.templates"
    lines = _lines(path, place=place, what='a template such as "a photo of a {class}" a line')
    for number, line in lines.items():
        for problem in template_problems(line):
            raise ParamsError(f"{path}: line {number}: {line!r}: {problem}")
    return _distinct(path, lines)


def read_backgrounds(path: Path) -> tuple[str, ...]:
    """Names of scenes: plain lines, or those of categories_places365.txt (`/a/airport_terminal 2`).

    Raises:
        ParamsError: there are none, or one repeats.
    """
    what = "a scene a line, as in Places365's categories_places365.txt"
    lines = _lines(path, place="params.yaml, prompts.backgrounds", what=what)
    return _distinct(path, {number: _scene(line) for number, line in lines.items()})


def _scene(line: str) -> str:
    found = _PLACES365.fullmatch(line)
    return re.sub(r"[/_\s]+", " ", found[1]) if found else line


def _lines(path: Path, *, place: str, what: str) -> dict[int, str]:
    """Entries by line number, from 1."""
    lines = {
        number: " ".join(line.split())
        for number, line in enumerate(text_of(path, place=place).splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    }
    if not lines:
        raise ParamsError(f"{place}: {path} is empty, expected {what}; write some")
    return lines


def _distinct(path: Path, lines: dict[int, str]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    for number, line in lines.items():
        first = seen.setdefault(line, number)
        if first != number:
            raise ParamsError(
                f"{path}: line {number}: {line!r} is line {first} again; expected each once, since "
                "all come equally often, remove one"
            )
    return tuple(seen)

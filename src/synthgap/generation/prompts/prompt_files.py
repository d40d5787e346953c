"""Files that prompts come from: captions, templates and backgrounds."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from synthgap.errors import ParamsError
from synthgap.generation.prompts.wording import no_class, some, template_problems
from synthgap.jobs import whole_file

PLACE = "params.yaml, prompts.captions"
COLUMNS = ("class", "caption")
SUFFIXES = (".jsonl", ".csv")


def read_captions(path: Path, classes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Captions of each class in the file's order, repeats included.

    A line of JSON is an object, the first line of CSV names the columns; both have at least
    `class`, the class's folder, and `caption`.

    Raises:
        ParamsError: the file is not like that, names a strange class or leaves one out.
    """
    captions: dict[str, list[str]] = {name: [] for name in classes}
    for number, row in _rows(path):
        name, caption = row.get("class"), row.get("caption")
        where = f"{path}: line {number}"
        if not isinstance(name, str) or not isinstance(caption, str) or not caption.strip():
            raise ParamsError(f"{where}: expected `class` and `caption`, both text; mend it")
        if name not in captions:
            raise ParamsError(f"{where}: {no_class(name, classes)}")
        captions[name].append(" ".join(caption.split()))
    missing = [name for name, texts in captions.items() if not texts]
    if missing:
        raise ParamsError(
            f"{path}: no caption for {some(missing)}; expected some for every class, add them"
        )
    return {name: tuple(texts) for name, texts in captions.items()}


def write_captions(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON object a line, whole or not at all; return how many."""
    count = 0
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(dict(row), ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    return count


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.suffix not in SUFFIXES:
        raise ParamsError(f"{PLACE}: {path}, expected a file {' or '.join(SUFFIXES)}; rename it")
    text = text_of(path, place=PLACE)
    yield from _json_rows(path, text) if path.suffix == ".jsonl" else _csv_rows(path, text)


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ParamsError(f"{path}: line {number}: no JSON ({error}); mend it") from error
        yield number, row if isinstance(row, dict) else {}


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ParamsError(
                f"{path}: line 1: no column {missing[0]!r}, expected a heading `class,caption`"
            )
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise ParamsError(
            f"{path}: line {reader.line_num}: no valid CSV ({error}); mend it"
        ) from error


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
    first_lines: dict[str, int] = {}
    for number, line in lines.items():
        first = first_lines.setdefault(line, number)
        if first != number:
            raise ParamsError(
                f"{path}: line {number}: {line!r} is line {first} again; expected each once, since "
                "all come equally often, remove one"
            )
    return tuple(first_lines)

"""Caption files: one caption of a class a line, as JSON lines or CSV, with what produced it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from synthgap.artifacts import whole_file
from synthgap.errors import ParamsError
from synthgap.generation.vocabulary.listed import text_of
from synthgap.generation.vocabulary.wording import no_class, some

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
    missing = [name for name, said in captions.items() if not said]
    if missing:
        raise ParamsError(
            f"{path}: no caption for {some(missing)}; expected some for every class, add them"
        )
    return {name: tuple(said) for name, said in captions.items()}


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

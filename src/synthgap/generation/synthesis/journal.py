"""What became of each candidate of a part: one line a batch, appended and never changed.

A line that is torn, or does not go on where the last one ended, ends the journal: what follows is
made again. So is what the tar beside it lacks.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

CLOSED = b'{"closed": true}\n'
_DONE = re.compile(rb'"done":(\d+)}\n')


class JournalEntry(NamedTuple):
    """One candidate's fate. With `dropped` there is a reason and no image."""

    number: int
    label: int | None
    dropped: str | None
    sha256: str
    offset: int  # bytes of the image's file in the part's tar
    size: int
    facts: Mapping[str, float]  # what a filter measured: confidence, clip_score


class Journal(NamedTuple):
    """What a journal's sound lines say."""

    made: list[JournalEntry]
    end: int  # bytes of the tar that they describe
    length: int  # bytes of the journal that are sound
    closed: bool


def line_of(made: Sequence[JournalEntry], *, end: int, done: int) -> bytes:
    """The line of a batch after which the tar ends at byte `end` and `done` candidates are made."""
    content = {"made": made, "end": end, "done": done}
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def read_journal(path: Path, numbers: Sequence[int], tar_size: int) -> Journal:
    """Read a part's journal as far as it is sound, for the candidates `numbers` of the part."""
    made: list[JournalEntry] = []
    end = length = 0
    for line in lines_of(path):
        if line == CLOSED:
            closed = len(made) == len(numbers)
            return Journal(made, end, length + len(line) if closed else length, closed)
        batch = _batch(line, numbers[len(made) :], end, tar_size)
        if batch is None:
            break
        made += batch[0]
        end, length = batch[1], length + len(line)
    return Journal(made, end, length, closed=False)


def is_closed(path: Path) -> bool:
    """Whether a part says that it is whole; its end alone is read."""
    return _tail(path, len(CLOSED)) == CLOSED


def num_done(path: Path) -> int:
    """How many candidates an open part has made, to tell progress; its end alone is read."""
    found = _DONE.findall(_tail(path, 64))
    return int(found[-1]) if found else 0


def _tail(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read()
    except FileNotFoundError:
        return b""


def _batch(
    line: bytes, numbers: Sequence[int], end: int, tar_size: int
) -> tuple[list[JournalEntry], int] | None:
    """The batch of a sound line, or None."""
    if not line.endswith(b"\n"):
        return None
    try:
        read: Any = json.loads(line)
        made = [JournalEntry(*one) for one in read["made"]]
        new_end = int(read["end"])
    except (ValueError, KeyError, TypeError):
        return None
    follows = [one.number for one in made] == list(numbers[: len(made)])
    return (made, new_end) if made and follows and end <= new_end <= tar_size else None


def lines_of(path: Path) -> list[bytes]:
    """The journal's lines, each with its end."""
    return path.read_bytes().splitlines(keepends=True) if path.is_file() else []


def numbers_of(line: bytes) -> list[int]:
    """Numbers of the candidates that a sound line tells of."""
    return [one[0] for one in json.loads(line).get("made", [])]


def by_reason(made: Iterable[JournalEntry]) -> dict[str, int]:
    """How many were dropped, and why."""
    counts: dict[str, int] = {}
    for one in made:
        if one.dropped is not None:
            counts[one.dropped] = counts.get(one.dropped, 0) + 1
    return dict(sorted(counts.items()))

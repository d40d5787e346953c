"""A round of candidates cut into parts: one tar and one journal each, written by one process.

Whoever holds a part's lock (the kernel's, on its journal) writes it; it ends with its holder,
however that dies. Nothing else is agreed upon between processes, on one machine or on many.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import IO

import numpy as np

from synthgap.data.packed import append, finish
from synthgap.generation.synthesis.journal import (
    CLOSED,
    Journal,
    JournalEntry,
    is_closed,
    line_of,
    lines_of,
    numbers_of,
    read_journal,
)

SHARD_ABOVE = 20_000  # images of a set from which on it is packed, where params.yaml is silent
LEAST, MOST = 500, 5000  # images of a shard
REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
SHARES = 256  # parts that a large round is cut into, at least


@dataclass(frozen=True)
class Part:
    """Some candidates of a round, in order, and where their images and journal lie."""

    stem: Path
    numbers: np.ndarray  # int64

    @property
    def tar(self) -> Path:
        """Images, in order of their candidates."""
        return self.stem.with_suffix(".tar")

    @property
    def log(self) -> Path:
        """The journal."""
        return self.stem.with_suffix(".jsonl")

    @cached_property
    def wanted(self) -> list[int]:
        """Numbers of the candidates."""
        numbers: list[int] = self.numbers.tolist()
        return numbers

    @property
    def closed(self) -> bool:
        """Whether it is whole, as its journal's last line says."""
        return is_closed(self.log)

    def read(self) -> Journal:
        """What its journal says, as far as journal and tar are sound."""
        size = self.tar.stat().st_size if self.tar.is_file() else 0
        return read_journal(self.log, self.wanted, size)


def part_size(num_candidates: int, *, batch: int, packed: bool) -> int:
    """Candidates of a part: whole batches, a function of the set alone.

    Small, so that many processes share a round; of a packed set as large as shards should be.
    """
    share = -(-num_candidates // SHARES)
    share = min(max(share, LEAST), MOST) if packed else share
    return max(-(-share // batch), 1) * batch


def parts_of(folder: Path, numbers: np.ndarray, size: int) -> list[Part]:
    """Cut a round's candidates into parts of `size`; `folder` is the round's own.

    `numbers`: (num_candidates,) int64.
    """
    starts = range(0, len(numbers), size)
    return [
        Part(folder / f"{index:05d}", numbers[start : start + size])
        for index, start in enumerate(starts)
    ]


@dataclass
class PartWriter:
    """A part that this process alone may write."""

    part: Part
    tar: IO[bytes]
    log: IO[bytes]
    num_made: int
    closed: bool

    def append(self, made: Sequence[tuple[JournalEntry, str, bytes]]) -> None:
        """Add a batch: first its images (fate, path in the set, bytes), then its journal line.

        Raises:
            OSError: the disk takes no more.
        """
        fates = [self._placed(*one) for one in made]
        self.tar.flush()
        end, done = self.tar.tell(), self.num_made + len(made)
        self.log.write(line_of(fates, end=end, done=done))
        self.log.flush()
        self.num_made = done

    def close(self) -> None:
        """Say that the part is whole."""
        assert self.num_made == len(self.part.numbers)
        finish(self.tar)
        self.tar.flush()
        self.log.write(CLOSED)
        self.log.flush()
        self.closed = True

    def _placed(self, made: JournalEntry, name: str, content: bytes) -> JournalEntry:
        if made.dropped is not None:
            return made
        offset, size = append(self.tar, name, content)
        return made._replace(offset=offset, size=size)


@contextmanager
def claim(part: Part) -> Iterator[PartWriter | None]:
    """Hold a part and go on where its journal ends; None if another process holds it.

    What is not journalled is cut off: a batch that was being written when its process died.

    Raises:
        OSError: the disk takes no more, with the file's name.
    """
    with refusals_named(part.log), part.log.open("ab") as log:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        with refusals_named(part.tar), part.tar.open("ab") as tar:
            known = part.read()
            if not known.closed:
                _cut(tar, known.end)
                _cut(log, known.length)
            yield PartWriter(part, tar, log, len(known.made), known.closed)


def cut_before(part: Part, number: int) -> None:
    """Forget the batch of candidate `number` and all after it: they are made again."""
    kept = list(takewhile(lambda line: number not in numbers_of(line), lines_of(part.log)))
    with part.log.open("ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        _cut(log, sum(map(len, kept)))


def _cut(file: IO[bytes], length: int) -> None:
    """Shorten a file that is longer, and stand at its end."""
    if file.seek(0, os.SEEK_END) > length:
        file.truncate(length)
        file.seek(length)


@contextmanager
def refusals_named(path: Path) -> Iterator[None]:
    """Say which file it was that the disk refused."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in REFUSALS:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise

"""The processes that sample one set: each claims a free part, samples it and goes to the next."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO

from synthgap.data.image_set import ImageSet
from synthgap.errors import DataError
from synthgap.generation.pipelines.sampler import Request, Sampled
from synthgap.generation.synthesis.assembling import DROPPED
from synthgap.generation.synthesis.filters import CLIP_SCORE, CONFIDENCE
from synthgap.generation.synthesis.journal import JournalEntry, num_done
from synthgap.generation.synthesis.parts import Part, PartWriter, claim
from synthgap.generation.synthesis.rounds import ReopenedError, planned
from synthgap.generation.synthesis.set_in_progress import (
    SamplingRound,
    SamplingTools,
    SetInProgress,
)
from synthgap.jobs.launching import is_launched
from synthgap.jobs.progress import Progress, log_line

if TYPE_CHECKING:
    from synthgap.generation.synthesis.filters import FilterOutcome


Filled = list[
    tuple[JournalEntry, str, bytes]
]  # fate, path in the set, and bytes of every candidate


@dataclass(frozen=True)
class KnownCandidates:
    """The candidates of a finished set, those that were dropped among them."""

    images: ImageSet

    @classmethod
    def read(cls, place: Path) -> Self:
        """Open a finished set.

        Raises:
            DataError: it is damaged.
        """
        return cls(ImageSet.read(place))

    def batch(self, numbers: Sequence[int]) -> Filled | None:
        """What became of these candidates, or None where one is not known, or damaged."""
        if not all(number in self._rows or number in self._dropped for number in numbers):
            return None
        try:
            return [self._kept(n) if n in self._rows else self._left_out(n) for n in numbers]
        except DataError:
            return None

    def _kept(self, number: int) -> tuple[JournalEntry, str, bytes]:
        place, row = self._rows[number]
        content, sha256 = self.images.content(place), self.images.sha256s[place]
        label = int(self.images.labels[place])
        made = JournalEntry(number, label, None, sha256, 0, len(content), _facts(row))
        return made, self.images.paths[place], content

    def _left_out(self, number: int) -> tuple[JournalEntry, str, bytes]:
        row = self._dropped[number]
        label = None if row["label"] is None else int(row["label"])
        return JournalEntry(number, label, row["reason"], "", 0, 0, _facts(row)), "", b""

    @cached_property
    def _rows(self) -> dict[int, tuple[int, Mapping[str, Any]]]:
        """Place and row of every image by its candidate's number."""
        rows = _table(self.images.root / "manifest.parquet")
        return {int(row["k"]): (place, row) for place, row in enumerate(rows)}

    @cached_property
    def _dropped(self) -> dict[int, Mapping[str, Any]]:
        return {int(row["k"]): row for row in _table(self.images.root / DROPPED)}


def _facts(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: row[name] for name in (CONFIDENCE, CLIP_SCORE) if row.get(name) is not None}


def _table(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    known = {"k", "label", "reason", CONFIDENCE, CLIP_SCORE}
    columns = [name for name in pq.read_schema(path).names if name in known]
    rows: list[dict[str, Any]] = pq.read_table(path, columns=columns).to_pylist()
    return rows


WAIT_S = 0.2  # between two looks at parts that other processes hold
LOOK_S = 1.0  # between two counts of what all processes have done


def _nothing(_numbers: Sequence[int]) -> None:
    """Know no candidate before it is sampled."""


@dataclass
class SamplingWorker:
    """One of the processes that make a set; the leading one tells how far they all are.

    The generator is opened when there is something to sample.
    """

    making: SetInProgress
    open_tools: Callable[[], SamplingTools]
    leads: bool
    known: Callable[[Sequence[int]], Filled | None] = _nothing
    _tools: SamplingTools | None = field(default=None, init=False)
    _watch: RoundProgress | None = field(default=None, init=False)

    def work(self) -> None:
        """Sample until every round is whole.

        Raises:
            GeneratorError: too much is dropped.
            OSError: the disk takes no more; what is journalled stays.
        """
        index = 0
        while True:
            try:
                round_ = planned(self.making, index)
            except ReopenedError as damage:
                log_line(f"{self.making.name}: {damage}; what follows is made again", log_stream())
                index = 0
                continue
            if round_ is None:
                return
            self._sample(round_)
            index += 1

    def _sample(self, round_: SamplingRound) -> None:
        """Take part in a round until all of it is there."""
        open_parts = [part for part in self.making.parts(round_) if not part.closed]
        if not open_parts:
            return
        open_parts[0].stem.parent.mkdir(exist_ok=True)
        self._watch = RoundProgress.of(self.making, round_) if self.leads else None
        while open_parts:
            before = len(open_parts)
            open_parts = [part for part in open_parts if not self._filled(part)]
            if open_parts and len(open_parts) == before:
                time.sleep(WAIT_S)
            self._update_progress()
        if self._watch is not None:
            self._watch.count()

    def _filled(self, part: Part) -> bool:
        """Fill a part that is free; whether it is whole now."""
        if part.closed:
            return True
        with claim(part) as writing:
            if writing is None:
                return False
            if not writing.closed:
                self._fill(writing)
        return True

    def _fill(self, writing: PartWriter) -> None:
        """Sample batch after batch; one is encoded and written while the next is sampled."""
        numbers, batch = writing.part.wanted, self.making.batch
        with ThreadPoolExecutor(max_workers=1) as pool:
            written: Future[None] | None = None
            for start in range(writing.num_made, len(numbers), batch):
                filled = self._filled_in(numbers[start : start + batch])
                if written is not None:
                    written.result()  # so that a kill costs one batch, and a full disk stops us
                written = pool.submit(_append, writing, filled)
                self._update_progress()
            if written is not None:
                written.result()
        writing.close()

    def _filled_in(self, numbers: Sequence[int]) -> Callable[[], Filled]:
        """A batch as it will be written: known, or sampled now and encoded when it is asked for."""
        known = self.known(numbers)
        if known is not None:
            return lambda: known
        requests = [self.making.candidates.request(number) for number in numbers]
        sampled = self._opened().sampler(requests)
        fates = self._opened().judge(sampled, requests)
        return lambda: _encoded(self.making, requests, sampled, fates)

    def _opened(self) -> SamplingTools:
        if self._tools is None:
            self._tools = self.open_tools()
        return self._tools

    def _update_progress(self) -> None:
        if self._watch is not None:
            self._watch.update()


@dataclass
class RoundProgress:
    """Counts what all processes have done of a round, and tells of it."""

    parts: list[Part]
    progress: Progress
    _counted_at: float = field(default_factory=time.monotonic, init=False)

    @classmethod
    def of(cls, making: SetInProgress, round_: SamplingRound) -> RoundProgress:
        """Begin with what is there from before."""
        name = f"{making.name}, top-up {round_.index}" if round_.index else making.name
        parts = making.parts(round_)
        total, done = sum(len(part.numbers) for part in parts), _done(parts)
        if done:
            log_line(f"{name}: {done} of {total} images are there from before", log_stream())
        return cls(parts, Progress(name, total, "images", done=done, out=log_stream()))

    def update(self) -> None:
        """Count again, unless that was a moment ago."""
        if time.monotonic() - self._counted_at >= LOOK_S:
            self.count()

    def count(self) -> None:
        """Count what all processes have done by now."""
        self._counted_at = time.monotonic()
        fresh = _done(self.parts) - self.progress.done
        if fresh > 0:
            self.progress.advance(fresh)


def log_stream() -> TextIO:
    """Where to tell: `launch` shows standard error only of those that failed."""
    return sys.stdout if is_launched() else sys.stderr


def _done(parts: Sequence[Part]) -> int:
    return sum(len(part.numbers) if part.closed else num_done(part.log) for part in parts)


def _append(writing: PartWriter, filled: Callable[[], Filled]) -> None:
    writing.append(filled())


def _encoded(
    making: SetInProgress,
    requests: Sequence[Request],
    sampled: Sampled,
    fates: Sequence[FilterOutcome],
) -> Filled:
    """A sampled batch, to be appended to its part."""
    made: Filled = []
    for request, pixels, fate in zip(requests, sampled.pixels, fates, strict=True):
        name, content = "", b""
        if fate.dropped is None:
            assert fate.label is not None
            name = making.candidates.path(request.number, fate.label, making.encoding.extension)
            content = making.content(request, fate.label, pixels)
        digest = sha256(content).hexdigest() if content else ""
        facts = dict(fate.facts)
        one = JournalEntry(request.number, fate.label, fate.dropped, digest, 0, len(content), facts)
        made.append((one, name, content))
    return made

"""What every process that makes a set does: claim a free part, sample it, go to the next.

Parts' locks and journals are all that processes know of each other, so that there may be any
number of them, on any number of machines that share the folder.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, TextIO

from synthgap.generation.jobs.progress import Progress, tell
from synthgap.generation.samplers.requests import Request, Sampled
from synthgap.generation.sets.journal import Made, num_done
from synthgap.generation.sets.known import Filled
from synthgap.generation.sets.making import Making, Round, Tools
from synthgap.generation.sets.parts import Part, Writing, claim
from synthgap.generation.sets.rounds import planned
from synthgap.generation.sets.selecting import ReopenedError
from synthgap.processes.launching import is_launched

if TYPE_CHECKING:
    from synthgap.generation.filtering.filters import Judged

WAIT_S = 0.2  # between two looks at parts that other processes hold
LOOK_S = 1.0  # between two counts of what all processes have done


def _nothing(_numbers: Sequence[int]) -> None:
    """Know no candidate before it is sampled."""


@dataclass
class Crowd:
    """One of the processes that make a set; the leading one tells how far they all are.

    The generator is opened when there is something to sample.
    """

    making: Making
    open_tools: Callable[[], Tools]
    leads: bool
    known: Callable[[Sequence[int]], Filled | None] = _nothing
    _tools: Tools | None = field(default=None, init=False)
    _watch: Watch | None = field(default=None, init=False)

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
                tell(f"{self.making.name}: {damage}; what follows is made again", voice())
                index = 0
                continue
            if round_ is None:
                return
            self._sample(round_)
            index += 1

    def _sample(self, round_: Round) -> None:
        """Take part in a round until all of it is there."""
        open_parts = [part for part in self.making.parts(round_) if not part.closed]
        if not open_parts:
            return
        open_parts[0].stem.parent.mkdir(exist_ok=True)
        self._watch = Watch.of(self.making, round_) if self.leads else None
        while open_parts:
            before = len(open_parts)
            open_parts = [part for part in open_parts if not self._filled(part)]
            if open_parts and len(open_parts) == before:
                time.sleep(WAIT_S)
            self._look()
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

    def _fill(self, writing: Writing) -> None:
        """Sample batch after batch; one is encoded and written while the next is sampled."""
        numbers, batch = writing.part.wanted, self.making.batch
        with ThreadPoolExecutor(max_workers=1) as pool:
            written: Future[None] | None = None
            for start in range(writing.num_made, len(numbers), batch):
                filled = self._filled_in(numbers[start : start + batch])
                if written is not None:
                    written.result()  # so that a kill costs one batch, and a full disk stops us
                written = pool.submit(_append, writing, filled)
                self._look()
            if written is not None:
                written.result()
        writing.close()

    def _filled_in(self, numbers: Sequence[int]) -> Callable[[], Filled]:
        """A batch as it will be written: known, or sampled now and encoded when it is asked for."""
        known = self.known(numbers)
        if known is not None:
            return lambda: known
        asked = [self.making.candidates.request(number) for number in numbers]
        sampled = self._opened().sampler(asked)
        fates = self._opened().judge(sampled, asked)
        return lambda: _encoded(self.making, asked, sampled, fates)

    def _opened(self) -> Tools:
        if self._tools is None:
            self._tools = self.open_tools()
        return self._tools

    def _look(self) -> None:
        if self._watch is not None:
            self._watch.look()


@dataclass
class Watch:
    """Counts what all processes have done of a round, and tells of it."""

    parts: list[Part]
    progress: Progress
    _seen: float = field(default_factory=time.monotonic, init=False)

    @classmethod
    def of(cls, making: Making, round_: Round) -> Watch:
        """Begin with what is there from before."""
        name = f"{making.name}, top-up {round_.index}" if round_.index else making.name
        parts = making.parts(round_)
        total, done = sum(len(part.numbers) for part in parts), _done(parts)
        if done:
            tell(f"{name}: {done} of {total} images are there from before", voice())
        return cls(parts, Progress(name, total, "images", done=done, out=voice()))

    def look(self) -> None:
        """Count again, unless that was a moment ago."""
        if time.monotonic() - self._seen >= LOOK_S:
            self.count()

    def count(self) -> None:
        """Count what all processes have done by now."""
        self._seen = time.monotonic()
        fresh = _done(self.parts) - self.progress.done
        if fresh > 0:
            self.progress.advance(fresh)


def voice() -> TextIO:
    """Where to tell: `launch` shows standard error only of those that failed."""
    return sys.stdout if is_launched() else sys.stderr


def _done(parts: Sequence[Part]) -> int:
    return sum(len(part.numbers) if part.closed else num_done(part.log) for part in parts)


def _append(writing: Writing, filled: Callable[[], Filled]) -> None:
    writing.append(filled())


def _encoded(
    making: Making, asked: Sequence[Request], sampled: Sampled, fates: Sequence[Judged]
) -> Filled:
    """A sampled batch, to be appended to its part."""
    made: Filled = []
    for request, pixels, fate in zip(asked, sampled.pixels, fates, strict=True):
        name, content = "", b""
        if fate.dropped is None:
            assert fate.label is not None
            name = making.candidates.path(request.number, fate.label, making.encoding.extension)
            content = making.content(request, fate.label, pixels)
        digest = sha256(content).hexdigest() if content else ""
        facts = dict(fate.facts)
        one = Made(request.number, fate.label, fate.dropped, digest, 0, len(content), facts)
        made.append((one, name, content))
    return made

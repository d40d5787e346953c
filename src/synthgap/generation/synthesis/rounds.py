"""Rounds of sampling, and which of the candidates become the set."""

from __future__ import annotations

import fcntl
import io
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from synthgap.errors import GeneratorError
from synthgap.generation.synthesis.journal import JournalEntry, by_reason
from synthgap.generation.synthesis.parts import Part, claim, cut_before
from synthgap.generation.synthesis.set_in_progress import (
    CandidateOutcome,
    SamplingRound,
    SetInProgress,
)
from synthgap.jobs import read_json, write_json

NEAR_COPY = "near_duplicate"


class ReopenedError(Exception):
    """A part was not what its journal says: it is open again, and its rest is made anew."""


@dataclass(frozen=True)
class Selection:
    """The set's images by class and k, those that were dropped, and how many nobody needs."""

    kept: list[CandidateOutcome]
    dropped: list[CandidateOutcome]
    num_surplus: int

    def counts(self, num_classes: int) -> np.ndarray:
        """Images kept a class, (num_classes,) int64."""
        labels = np.asarray([one.label for one in self.kept], dtype=np.int64)
        return np.bincount(labels, minlength=num_classes)


def select(making: SetInProgress, found: Iterable[CandidateOutcome]) -> Selection:
    """Take of each class as many as are wanted; near-copies of those taken before are dropped.

    Raises:
        ReopenedError: an image that is looked at is damaged.
    """
    passed: list[list[CandidateOutcome]] = [[] for _ in making.wanted]
    dropped = []
    for one in found:
        if one.made.dropped is None:
            passed[one.label].append(one)
        else:
            dropped.append(one)
    kept: list[CandidateOutcome] = []
    num_surplus = 0
    for several, wanted in zip(passed, making.wanted.tolist(), strict=True):
        num_checked = taken = 0
        for one, is_copy in _checked(making, several):
            if taken == wanted:
                break
            num_checked += 1
            if is_copy:
                dropped.append(one.as_dropped(NEAR_COPY))
            else:
                kept.append(one)
                taken += 1
        num_surplus += len(several) - num_checked
    return Selection(kept, dropped, num_surplus)


def contents(several: Iterable[CandidateOutcome]) -> Iterator[tuple[CandidateOutcome, bytes]]:
    """The files of accepted images, one part's after the other's, each tar opened once.

    Raises:
        ReopenedError: one is not what was journalled; its part is open again from there.
    """
    for _, group in groupby(several, key=lambda one: one.part.stem):
        ordered = list(group)
        tar = ordered[0].part.tar
        with tar.open("rb") as file:
            for one in ordered:
                file.seek(one.made.offset)
                content = file.read(one.made.size)
                if sha256(content).hexdigest() != one.made.sha256:
                    cut_before(one.part, one.made.number)
                    raise ReopenedError(f"{tar}: damaged at byte {one.made.offset}")
                yield one, content


def _checked(
    making: SetInProgress, several: list[CandidateOutcome]
) -> Iterator[tuple[CandidateOutcome, bool]]:
    if making.near_copies is None:
        return ((one, False) for one in several)
    return zip(several, making.near_copies(map(_pixels, contents(several))), strict=False)


def _pixels(read: tuple[CandidateOutcome, bytes]) -> np.ndarray:
    with Image.open(io.BytesIO(read[1])) as image:
        return np.asarray(image.convert("RGB"))


def planned(making: SetInProgress, index: int) -> SamplingRound | None:
    """Round `index`, or None where those before it are enough.

    Raises:
        ReopenedError: a part of theirs is damaged.
        GeneratorError: too much was dropped to go on.
    """
    if index == 0:
        return SamplingRound(0, np.zeros_like(making.asked), making.asked)
    path = making.folder / f"round-{index:02d}.json"
    if not path.is_file():
        with _locked(making.folder / "rounds.lock"):
            if not path.is_file():  # nor has another process written it meanwhile
                write_json(path, _next(making, index))
    plan = read_json(path)
    if plan["stop"] is None:
        return None
    return SamplingRound(index, np.asarray(plan["start"]), np.asarray(plan["stop"]))


def all_rounds(making: SetInProgress) -> Iterator[SamplingRound]:
    """Every round of a set whose rounds are all planned."""
    index = 0
    while (round_ := planned(making, index)) is not None:
        yield round_
        index += 1


def found(making: SetInProgress, rounds: list[SamplingRound]) -> list[CandidateOutcome]:
    """What became of every candidate of these rounds.

    Raises:
        ReopenedError: a part is damaged.
    """
    return [
        CandidateOutcome(part, made)
        for round_ in rounds
        for part in making.parts(round_)
        for made in _whole(part)
    ]


def _whole(part: Part) -> list[JournalEntry]:
    journal = part.read()
    if journal.closed:
        return journal.made
    with claim(part):  # which cuts off what is unsound
        raise ReopenedError(f"{part.tar}: damaged after byte {journal.end}")


def _next(making: SetInProgress, index: int) -> dict[str, Any]:
    """What is to be sampled after `index` rounds; `stop` is None where nothing is."""
    rounds = [round_ for number in range(index) if (round_ := planned(making, number)) is not None]
    last = rounds[-1].stop
    selection = select(making, found(making, rounds))
    kept = selection.counts(len(making.wanted))
    short = making.wanted - kept
    if not short.any():
        return {"start": last.tolist(), "stop": None}
    most = making.most
    if making.candidates.labelled:
        spent = (short > 0) & (last >= most)
        sampled = last
    else:
        spent = (short > 0) & (last >= most).all()
        sampled = np.full_like(short, last[0])
    if spent.any():
        _give_up(making, selection, int(np.flatnonzero(spent)[0]), sampled)
    more = [
        _more(*each) for each in zip(short.tolist(), kept.tolist(), sampled.tolist(), strict=True)
    ]
    wider = last + (np.asarray(more) if making.candidates.labelled else max(more))
    return {"start": last.tolist(), "stop": np.minimum(wider, np.maximum(most, last)).tolist()}


def _more(short: int, kept: int, sampled: int) -> int:
    """How many more candidates should give `short` images: by the share kept so far, and luck."""
    if short <= 0:
        return 0
    if not kept:
        return max(sampled, 1)
    needed = short * sampled / kept
    return math.ceil(needed + math.sqrt(needed))


def _give_up(
    making: SetInProgress, selection: Selection, label: int, sampled: np.ndarray
) -> NoReturn:
    kept = int(selection.counts(len(making.wanted))[label])
    of_class = [one.made for one in selection.dropped if one.made.label in (label, None)]
    reasons = ", ".join(f"{number} {reason}" for reason, number in by_reason(of_class).items())
    raise GeneratorError(
        f"{making.name}, class {making.candidates.classes[label]!r}: {kept} of "
        f"{making.wanted[label]} images passed after {sampled[label]} candidates (dropped: "
        f"{reasons or 'none of the class'}); expected all; relax synthesize.filters or raise "
        "synthesize.max_candidates: what was sampled is kept"
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

"""Rounds of sampling: first exactly what is wanted, then in place of what was dropped.

A round is a function of what became of the rounds before it. The first process that finds a round
whole writes down the next one; the others read it.
"""

from __future__ import annotations

import fcntl
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from synthgap.artifacts import read_json, write_json
from synthgap.errors import GeneratorError
from synthgap.generation.sets.journal import Made, by_reason
from synthgap.generation.sets.making import Found, Making, Round
from synthgap.generation.sets.parts import Part, claim
from synthgap.generation.sets.selecting import ReopenedError, Selection, select


def planned(making: Making, index: int) -> Round | None:
    """Round `index`, or None where those before it are enough.

    Raises:
        ReopenedError: a part of theirs is damaged.
        GeneratorError: too much was dropped to go on.
    """
    if index == 0:
        return Round(0, np.zeros_like(making.asked), making.asked)
    path = making.folder / f"round-{index:02d}.json"
    if not path.is_file():
        with _locked(making.folder / "rounds.lock"):
            if not path.is_file():  # nor has another process written it meanwhile
                write_json(path, _next(making, index))
    plan = read_json(path)
    if plan["stop"] is None:
        return None
    return Round(index, np.asarray(plan["start"]), np.asarray(plan["stop"]))


def all_rounds(making: Making) -> Iterator[Round]:
    """Every round of a set whose rounds are all planned."""
    index = 0
    while (round_ := planned(making, index)) is not None:
        yield round_
        index += 1


def found(making: Making, rounds: list[Round]) -> list[Found]:
    """What became of every candidate of these rounds.

    Raises:
        ReopenedError: a part is damaged.
    """
    return [
        Found(part, made)
        for round_ in rounds
        for part in making.parts(round_)
        for made in _whole(part)
    ]


def _whole(part: Part) -> list[Made]:
    journal = part.read()
    if journal.closed:
        return journal.made
    with claim(part):  # which cuts off what is unsound
        raise ReopenedError(f"{part.tar}: damaged after byte {journal.end}")


def _next(making: Making, index: int) -> dict[str, Any]:
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


def _give_up(making: Making, selection: Selection, label: int, sampled: np.ndarray) -> NoReturn:
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

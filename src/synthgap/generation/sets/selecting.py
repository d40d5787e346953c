"""Which of the candidates become the set: the first of each class, in order of k, that pass."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby

import numpy as np
from PIL import Image

from synthgap.generation.sets.making import Found, Making
from synthgap.generation.sets.parts import cut_before

NEAR_COPY = "near_duplicate"


class ReopenedError(Exception):
    """A part was not what its journal says: it is open again, and its rest is made anew."""


@dataclass(frozen=True)
class Selection:
    """The set's images by class and k, those that were dropped, and how many nobody needs."""

    kept: list[Found]
    dropped: list[Found]
    num_surplus: int

    def counts(self, num_classes: int) -> np.ndarray:
        """Images kept a class, (num_classes,) int64."""
        labels = np.asarray([one.label for one in self.kept], dtype=np.int64)
        return np.bincount(labels, minlength=num_classes)


def select(making: Making, found: Iterable[Found]) -> Selection:
    """Take of each class as many as are wanted; near-copies of those taken before are dropped.

    Raises:
        ReopenedError: an image that is looked at is damaged.
    """
    passed: list[list[Found]] = [[] for _ in making.wanted]
    dropped = []
    for one in found:
        if one.made.dropped is None:
            passed[one.label].append(one)
        else:
            dropped.append(one)
    kept: list[Found] = []
    num_surplus = 0
    for several, wanted in zip(passed, making.wanted.tolist(), strict=True):
        num_looked_at = taken = 0
        for one, is_copy in _looked_at(making, several):
            if taken == wanted:
                break
            num_looked_at += 1
            if is_copy:
                dropped.append(one.as_dropped(NEAR_COPY))
            else:
                kept.append(one)
                taken += 1
        num_surplus += len(several) - num_looked_at
    return Selection(kept, dropped, num_surplus)


def contents(several: Iterable[Found]) -> Iterator[tuple[Found, bytes]]:
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


def _looked_at(making: Making, several: list[Found]) -> Iterator[tuple[Found, bool]]:
    if making.near_copies is None:
        return ((one, False) for one in several)
    return zip(several, making.near_copies(map(_pixels, contents(several))), strict=False)


def _pixels(read: tuple[Found, bytes]) -> np.ndarray:
    with Image.open(io.BytesIO(read[1])) as image:
        return np.asarray(image.convert("RGB"))

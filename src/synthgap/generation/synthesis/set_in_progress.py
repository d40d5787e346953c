"""A set in progress: which candidates it wants, where they lie, what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgap.generation.pipelines.sampler import Request, Sampled
from synthgap.generation.synthesis.candidates import Candidates
from synthgap.generation.synthesis.encoding import Encoding
from synthgap.generation.synthesis.journal import JournalEntry
from synthgap.generation.synthesis.parts import Part, part_size, parts_of

if TYPE_CHECKING:
    from synthgap.generation.synthesis.filters import FilterOutcome

Judge = Callable[[Sampled, Sequence[Request]], "Sequence[FilterOutcome]"]
"""Says of each sample which class it is of, and whether and why it is dropped."""

NearCopies = Callable[[Iterable[np.ndarray]], Iterable[bool]]
"""Which images of one class, in order of k, are near-copies of an earlier one that is none.

Lazily: no image is asked for before the answer to the last one was taken.
"""


@dataclass(frozen=True)
class SamplingTools:
    """What a process that samples has open."""

    sampler: Callable[[Sequence[Request]], Sampled]
    judge: Judge


@dataclass(frozen=True)
class SamplingRound:
    """Candidates `start` up to `stop` of each class, or of all where there are no classes yet."""

    index: int
    start: np.ndarray
    stop: np.ndarray


@dataclass(frozen=True)
class SetInProgress:
    """A set in the making in `folder`; `wanted` are its images a class."""

    name: str
    folder: Path
    candidates: Candidates
    wanted: np.ndarray  # (num_classes,) int64
    batch: int
    packed: bool  # into shards
    max_candidates: float  # times the images wanted
    available: np.ndarray | None  # candidates a class, or in all; None: any number
    encoding: Encoding
    metadata: Callable[[Request, int, str], Mapping[str, Any]]  # by request, label and class name
    near_copies: NearCopies | None

    @property
    def asked(self) -> np.ndarray:
        """Images wanted a class, or in all where candidates have no class yet.

        int64 (num_classes,), or (1,).
        """
        return self.wanted if self.candidates.labelled else self.wanted.sum(keepdims=True)

    @property
    def most(self) -> np.ndarray:
        """How many candidates may be looked at a class, or in all: not fewer than are wanted.

        int64 (num_classes,), or (1,).
        """
        most: np.ndarray = np.ceil(self.asked * self.max_candidates).astype(np.int64)
        if self.available is not None:
            most = np.minimum(most, self.available)
        enough: np.ndarray = np.maximum(most, self.asked)
        return enough

    def parts(self, round_: SamplingRound) -> list[Part]:
        """The parts of a round, in order of their candidates."""
        numbers = self.candidates.numbers(round_.start, round_.stop)
        size = part_size(len(numbers), batch=self.batch, packed=self.packed)
        return parts_of(self.folder / f"round-{round_.index:02d}", numbers, size)

    def content(self, request: Request, label: int, pixels: np.ndarray) -> bytes:
        """The file of one sampled image.

        `pixels`: uint8 (height, width, 3).
        """
        metadata = self.metadata(request, label, self.candidates.classes[label])
        sampled = {"sampled_px": [pixels.shape[1], pixels.shape[0]]}
        return self.encoding.encode(pixels, {**metadata, **sampled})


@dataclass(frozen=True, slots=True)
class CandidateOutcome:
    """One candidate's fate, and the part that tells of it."""

    part: Part
    made: JournalEntry

    @property
    def label(self) -> int:
        """The class of an image that was kept."""
        assert self.made.label is not None
        return self.made.label

    def as_dropped(self, reason: str) -> CandidateOutcome:
        """The same candidate, dropped after all."""
        return CandidateOutcome(self.part, self.made._replace(dropped=reason))

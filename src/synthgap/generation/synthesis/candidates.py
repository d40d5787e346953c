"""What a set could hold: candidate k is a function of the set's seed and k alone.

Where the generator knows classes, the i-th candidate of class c has the number
k = i x num_classes + c; where it does not, k has no class until a judge has seen its image. A set
holds the first candidates of each class, in order of k, that pass its filters: so a longer set
begins with the images of a shorter one, whatever was dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from synthgap.data.image_set import ImageSet
from synthgap.generation.pipelines.sampler import Request
from synthgap.seeding import derived_seed

Writer = Callable[[int, int], str]
"""The prompt of the i-th image of a class: `writer(label, i)`."""


@dataclass(frozen=True)
class Candidates:
    """All that can be asked of one generator for one set; `prompting` images prompt, if any do."""

    seed: int
    classes: tuple[str, ...]
    labelled: bool  # the generator knows classes
    writer: Writer | None
    prompting: ImageSet | None = None
    stream: str = "synthesize"  # whose random numbers the noise is drawn from

    def numbers(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """Numbers of candidates `start` up to `stop` of each class, ascending, int64.

        Without classes both have one element, the range of numbers itself.

        Both are int64 (num_classes,).
        """
        if not self.labelled:
            return np.arange(int(start[0]), int(stop[0]), dtype=np.int64)
        step = len(self.classes)
        ranges = [
            np.arange(first, last, dtype=np.int64) * step + label
            for label, (first, last) in enumerate(zip(start.tolist(), stop.tolist(), strict=True))
        ]
        return np.sort(np.concatenate(ranges))

    def index(self, number: int) -> int:
        """Which candidate of its class it is, or of all."""
        return number // len(self.classes) if self.labelled else number

    def label(self, number: int) -> int | None:
        """The class that is asked for."""
        return number % len(self.classes) if self.labelled else None

    def prompt(self, number: int) -> str:
        """What is asked for in words; empty where nothing is."""
        label = self.label(number)
        if self.writer is None or label is None:
            return ""
        return self.writer(label, self.index(number))

    def noise(self, number: int) -> int:
        """Seed of the noise: equal k have equal noise at every setting."""
        return derived_seed(self.seed, self.stream, number)

    def request(self, number: int) -> Request:
        """What the sampler is asked."""
        label = self.label(number)
        return Request(
            seed=self.noise(number),
            prompt=self.prompt(number),
            label=label,
            class_name=None if label is None else self.classes[label],
            number=number,
            image=self._image(number),
        )

    def source(self, number: int) -> int | None:
        """Row of the real image that prompts: that of the class with the candidate's index."""
        label = self.label(number)
        if self.prompting is None or label is None:
            return None
        rows = self._rows[label]
        return int(rows[self.index(number) % len(rows)])

    def path(self, number: int, label: int, extension: str) -> str:
        """Where its image lies in the set once its class is known."""
        return f"{self.classes[label]}/{self.index(number):05d}.{extension}"

    @cached_property
    def _rows(self) -> list[np.ndarray]:
        """Rows of the prompting images of each class."""
        labels = np.empty(0) if self.prompting is None else self.prompting.labels
        return [np.flatnonzero(labels == label) for label in range(len(self.classes))]

    def _image(self, number: int) -> np.ndarray | None:
        row = self.source(number)
        if self.prompting is None or row is None:
            return None
        return np.asarray(self.prompting.image(row))

"""What a shorter set already knows of a longer one, which begins with its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from synthgap.data.image_set import ImageSet
from synthgap.errors import DataError
from synthgap.generation.filtering.filters import CLIP_SCORE, CONFIDENCE
from synthgap.generation.sets.assembling import DROPPED
from synthgap.generation.sets.journal import Made

Filled = list[tuple[Made, str, bytes]]  # fate, path in the set, and bytes of every candidate


@dataclass(frozen=True)
class Known:
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

    def _kept(self, number: int) -> tuple[Made, str, bytes]:
        place, row = self._rows[number]
        content, sha256 = self.images.content(place), self.images.sha256s[place]
        label = int(self.images.labels[place])
        made = Made(number, label, None, sha256, 0, len(content), _facts(row))
        return made, self.images.paths[place], content

    def _left_out(self, number: int) -> tuple[Made, str, bytes]:
        row = self._dropped[number]
        label = None if row["label"] is None else int(row["label"])
        return Made(number, label, row["reason"], "", 0, 0, _facts(row)), "", b""

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

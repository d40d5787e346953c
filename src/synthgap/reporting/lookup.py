"""Finding records: a number is asked for by where it lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Record = Mapping[str, Any]
PLACE = (
    *("experiment", "set", "donor_set", "direction", "arm", "depth", "fraction"),
    *("ablation", "variant", "protocol", "method", "init"),
)


def select(records: Iterable[Record], **place: str | float | None) -> list[Record]:
    """Records whose fields equal `place`, in their order."""
    return [row for row in records if all(row[name] == value for name, value in place.items())]


def top1(records: Iterable[Record]) -> list[Record]:
    """Test top-1 over seeds: one record a series."""
    return select(records, metric="test/top1", over="seeds")


def one(records: Iterable[Record], **place: str | float | None) -> Record | None:
    """The first record at a place, if there is one."""
    return next(iter(select(records, **place)), None)


def companion(records: Iterable[Record], row: Record, metric: str) -> Record | None:
    """Another number of the same series over seeds."""
    place = {name: row[name] for name in PLACE}
    return one((other for other in records if other["seed"] is None), **place, metric=metric)

"""Guidance methods by protocol: which ones there are, and which one the others are held against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from synthgap.reporting.labels import METHODS
from synthgap.reporting.lookup import Record

POOLED, SYNTHETIC = "pooled", "synthetic"
HELD_NAMES = {POOLED: "pooling", SYNTHETIC: "synthetic alone"}
YARDSTICKS = ("real", "bound", "synthetic", "pooled")  # they differ in images, not in how to learn


def by_protocol(rows: Iterable[Record]) -> dict[str, list[Record]]:
    """Rows of experiment `guide` by protocol, each in the order of the published tables.

    Any field that tells places apart may be asked of a row; numbers need not be in it.
    """
    found: dict[str, list[Record]] = {}
    for row in rows:
        if row["experiment"] == "guide":
            found.setdefault(str(row["protocol"]), []).append(row)
    return {name: sorted(methods, key=_rank) for name, methods in found.items()}


def is_low_shot(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether methods of a protocol see real images beside synthetic ones."""
    return any("+" in str(row["set"]) for row in rows)


def base_method(rows: Sequence[Mapping[str, Any]]) -> str:
    """The method that the others of a protocol are held against."""
    return POOLED if is_low_shot(rows) else SYNTHETIC


def _rank(row: Record) -> tuple[int, str]:
    known = list(METHODS)
    method = str(row["method"])
    return (known.index(method) if method in known else len(known), method)

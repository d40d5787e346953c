"""Copies: for every image the nearest one in its own set and in the sets it must be apart from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from synthgap.data.neighbours import nearest
from synthgap.validation.frames import GateFrame, objects

if TYPE_CHECKING:
    import pandas as pd

WITHIN = "itself"


def add_copies(gated: GateFrame, others: Sequence[GateFrame]) -> np.ndarray:
    """Add `distance_to_<set>`, `closest_in_<set>`, `same_pixels_in_<set>` for every other set.

    The set itself is one of them, under the name `itself`; images that could not be read stay
    empty. Returns the distances within the set, (num_readable,).
    """
    within = _compare(gated, gated, WITHIN)
    for other in others:
        _compare(gated, other, other.name)
    return within


def _compare(gated: GateFrame, other: GateFrame, name: str) -> np.ndarray:
    same = gated is other
    distances, indices = nearest(gated.windows, other.windows, same=same)
    paths = other.frame["path"].to_numpy() if "path" in other.frame else np.array([], object)
    found = indices >= 0
    closest = np.full(len(gated.frame), None, dtype=object)
    closest[gated.readable_rows[found]] = paths[other.readable_rows[indices[found]]]
    apart = np.full(len(gated.frame), np.nan)
    apart[gated.readable_rows[found]] = distances[found]
    gated.frame[f"distance_to_{name}"] = apart
    gated.frame[f"closest_in_{name}"] = objects(closest.tolist())
    gated.frame[f"same_pixels_in_{name}"] = _same_pixels(gated, other, same=same)
    return distances


def _same_pixels(gated: GateFrame, other: GateFrame, *, same: bool) -> pd.Series:
    """Path of another image that decodes to the very same pixels, or None; (num_images,)."""
    if "decoded" not in gated.frame or "decoded" not in other.frame:
        return objects([None] * len(gated.frame))
    rows_of: dict[str, list[int]] = {}
    decoded = list(other.frame["decoded"])
    for row in other.readable_rows:
        rows_of.setdefault(decoded[row], []).append(int(row))
    paths = list(other.frame["path"])
    copies: list[str | None] = [None] * len(gated.frame)
    ours = list(gated.frame["decoded"])
    for row in gated.readable_rows:
        rows = rows_of.get(ours[row], [])
        twins = [twin for twin in rows[:2] if not (same and twin == row)]
        copies[row] = paths[twins[0]] if twins else None
    return objects(copies)

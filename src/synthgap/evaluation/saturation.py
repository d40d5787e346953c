"""When a training curve stops rising."""

from __future__ import annotations

from collections.abc import Sequence

from synthgap.errors import DataError


def saturated_from(values: Sequence[float], *, within: float) -> int:
    """First place, counted from 1, from which on the curve stays within `within` of its end.

    Raises:
        DataError: the curve has no value.
    """
    if not values:
        raise DataError("a training curve without epochs; expected at least one, rerun its stage")
    far = [place for place, value in enumerate(values, 1) if abs(value - values[-1]) > within]
    return max(far, default=0) + 1

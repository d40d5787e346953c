"""Do two measures put things in the same order?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FEWEST = 3  # pairs of which an order can be told


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Rank correlation of pairs, -1..1, ties given their mean rank (Spearman, 1904).

    None where it is undefined: fewer than three pairs, or all values of one side equal.
    """
    from scipy.stats import rankdata  # type: ignore[import-untyped] # scipy ships no types

    if len(first) < FEWEST:
        return None
    ranks = np.stack([rankdata(side) for side in (first, second)])
    spread = ranks - ranks.mean(axis=1, keepdims=True)
    scale = float(np.sqrt((spread[0] ** 2).sum() * (spread[1] ** 2).sum()))
    return None if scale == 0 else round(float(spread[0] @ spread[1]) / scale, 9)

"""Settings of the generator: which students show one, and which one the others are held against.

A student of stage `train` shows its set's setting as one of stage `clone` does; where both are
there, `train` has the more seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from synthgap.params.synthesis import SetName
from synthgap.reporting.labels import Record

SHOWN_BY = ("train", "clone")
USED_BY = ("transfer", "reduce")  # experiments that choose one synthetic set


def is_plain(name: str) -> bool:
    """Whether a set is the recipe's own at some guidance scale, all else as it is."""
    named = SetName.parse(name)
    return named is not None and name == f"g{named.guidance_scale}"


def without_size(name: str) -> str:
    """A set's name without the factor of its size: sets of one line in a figure."""
    named = SetName.parse(name)
    return name if named is None or named.factor is None else name.rpartition("-x")[0]


def whole(rows: Iterable[Record]) -> list[Record]:
    """Records of students of whole synthetic sets, one a set, in their order.

    Any field that tells places apart may be asked of a record; numbers need not be in it.
    """
    found: dict[str, Record] = {}
    for row in rows:
        shown = row["experiment"] in SHOWN_BY and row["fraction"] == 1
        if not shown or row["source"] != "synthetic" or SetName.parse(row["set"]) is None:
            continue
        if row["set"] not in found or row["experiment"] == "train":
            found[row["set"]] = row
    return list(found.values())


def base_of(rows: Sequence[Record]) -> Record | None:
    """The plain set at the scale that the other experiments use, else at the lowest scale."""
    plain = [row for row in whole(rows) if is_plain(row["set"])]
    used = {row["guidance_scale"] for row in rows if row["experiment"] in USED_BY} - {None}
    chosen = [row for row in plain if row["guidance_scale"] in used]
    ordered = sorted(chosen or plain, key=lambda row: float(row["guidance_scale"]))
    return ordered[0] if ordered else None


def setting(row: Record) -> tuple[str, str, int | None, int]:
    """Generator, prompt scheme, steps and number of images: a row of FITYMI's Table 1."""
    return (
        str(row["generator"] or ""),
        str(row["scheme"] or ""),
        row["steps"],
        int(row["num_images"]),
    )

"""How numbers are written in sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthgap.evaluation import Estimate
from synthgap.reporting.record_names import Record

DASH = "\N{EM DASH}"
MAX_NAMED = 3  # comparisons that a sentence names


def number(value: float, digits: int, sign: str = "") -> str:
    """`-3.2` with a minus sign instead of a hyphen, and never minus zero."""
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}".replace("-", "\N{MINUS SIGN}")


def spread(row: Record) -> str:
    """`95.2 ± 0.3`, or one run's number alone."""
    estimate = Estimate(row["mean"], row["std"], row["n"], row["over"])
    if estimate.n == 1:
        return str(estimate)
    return f"{estimate.mean:.1f} \N{PLUS-MINUS SIGN} {estimate.std:.1f}"


def interval(row: Record, digits: int = 1, scale: float = 1.0) -> str:
    """`[93.1, 97.0]`, or a dash where there is none."""
    if row["low"] is None or row["high"] is None:
        return DASH
    return f"[{number(scale * row['low'], digits)}, {number(scale * row['high'], digits)}]"


def with_interval(row: Record | None, digits: int = 1, scale: float = 1.0) -> str:
    """`3.2 [2.1, 4.4]`; a dash where undefined."""
    if row is None or row["mean"] is None:
        return DASH
    mean = number(scale * row["mean"], digits)
    return mean if row["low"] is None else f"{mean} {interval(row, digits, scale)}"


def signed(difference: Mapping[str, Any]) -> str:
    """`+3.2 [2.1, 4.4]` points of a comparison."""
    if difference["difference_pp"] is None:
        return DASH
    return f"{number(difference['difference_pp'], 1, '+')} {interval(difference)}"


def label_equivalent(row: Record | None, measured: tuple[float, float] | None) -> str:
    """`150 [120, 190]`, a bound such as `< 19`, or a dash; `measured` is the curve's range."""
    if row is None or measured is None:
        return DASH
    if row["mean"] is None:
        return f"< {row['high']:.0f}" if row["high"] is not None else f"> {row['low']:.0f}"
    low = f"{row['low']:.0f}" if row["low"] is not None else f"< {measured[0]:.0f}"
    high = f"{row['high']:.0f}" if row["high"] is not None else f"> {measured[1]:.0f}"
    return f"{row['mean']:.0f} [{low}, {high}]"


def real_labels(row: Record) -> str:
    """`700 / 0 / 600` of generator, donor, student; `?` for a generator made elsewhere."""
    counts = (row["real_labels"][name] for name in ("generator", "donor", "student"))
    return " / ".join("?" if count is None else f"{count:,}" for count in counts)


def plus_minus(numbers: Sequence[float]) -> str:
    """`87.8 ± 0.1` of a published mean and std."""
    return f"{numbers[0]:.1f} \N{PLUS-MINUS SIGN} {numbers[1]:.1f}"


def resolved_sentence(rows: Sequence[Record]) -> str | None:
    """Which of some comparisons are resolved from zero, largest first; nothing where none ran."""
    ran = [row for row in rows if row["verdict"] != "not run"]
    if not ran:
        return None
    clear = [row for row in ran if row["verdict"] in {"holds", "reversed"}]
    counts = f"Differences resolved from zero: {len(clear) or 'none'} of {len(ran)}"
    if not clear:
        return f"{counts}."
    clear.sort(key=lambda row: -abs(float(row["difference_pp"])))
    largest_rows = [f"{row['left']} {signed(row)}" for row in clear[:MAX_NAMED]]
    largest = "the largest, in points" if len(clear) > MAX_NAMED else "in points"
    return f"{counts}; {largest}: {'; '.join(largest_rows)}."

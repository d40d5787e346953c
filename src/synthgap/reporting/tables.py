"""Tables of one recipe: every row says what it cost in real labels."""

from __future__ import annotations

from collections.abc import Sequence

from synthgap.reporting.blocks import TableBlock
from synthgap.reporting.formats import (
    DASH,
    interval,
    label_equivalent,
    real_labels,
    signed,
    spread,
    with_interval,
)
from synthgap.reporting.record_names import Record, companion, row_name, select
from synthgap.reporting.summary import Summary

LABEL_COUNT = "real labels: generator / donor / student"
OTHER_METRICS = ("test/top5", "test/balanced", "test/loss", "val/top1")


def results_table(summary: Summary, rows: Sequence[Record]) -> TableBlock:
    """Top-1 with both spreads, and the three derived numbers with their intervals."""
    headers = (
        "student", LABEL_COUNT, "seeds", "top-1 (%) \N{PLUS-MINUS SIGN} seeds",
        f"{summary.confidence} interval", "gap_pp", "gap_closed (%)", "label_equivalent",
    )  # fmt: skip
    return TableBlock(headers, [_result(summary, row) for row in rows])


def _result(summary: Summary, row: Record) -> list[str]:
    gap, closed, equivalent = (
        companion(summary.records, row, metric)
        for metric in ("gap_pp", "gap_closed", "label_equivalent")
    )
    return [
        row_name(row),
        real_labels(row),
        str(row["n"]),
        spread(row),
        interval(row),
        with_interval(gap),
        with_interval(closed, digits=0, scale=100),
        label_equivalent(equivalent, summary.label_range),
    ]


def other_metrics_table(summary: Summary, rows: Sequence[Record]) -> TableBlock:
    """Top-5, balanced accuracy, loss and validation accuracy over seeds."""
    body = []
    for row in rows:
        found = [companion(summary.records, row, metric) for metric in OTHER_METRICS]
        cells = [_metric_cell(other) for other in found]
        body.append([row_name(row), real_labels(row), *cells])
    return TableBlock(("student", LABEL_COUNT, *OTHER_METRICS), body)


def _metric_cell(row: Record | None) -> str:
    if row is None:
        return DASH
    digits = 3 if row["metric"].endswith("loss") else 1
    mean = f"{row['mean']:.{digits}f}"
    return mean if row["n"] == 1 else f"{mean} \N{PLUS-MINUS SIGN} {row['std']:.{digits}f}"


def ordering_table(summary: Summary) -> TableBlock:
    """The orderings that the papers lead one to expect, and what came out."""
    rows = [
        [
            row["statement"],
            *_difference_cells(row),
            _outcome(row, holds="holds", reversed_="reversed"),
        ]
        for row in select(summary.comparisons, kind="ordering")
    ]
    return TableBlock(("expected", "difference (pp)", "seeds: std", "n", "outcome"), rows)


def comparison_table(summary: Summary, kind: str) -> TableBlock:
    """Paired differences of one kind; their sign is stated, none is expected."""
    headers = ("left", "right", "left \N{MINUS SIGN} right (pp)", "seeds: std", "n", "sign")
    rows = [
        [
            row["left"],
            row["right"],
            *_difference_cells(row),
            _outcome(row, holds="above 0", reversed_="below 0"),
        ]
        for row in select(summary.comparisons, kind=kind)
    ]
    return TableBlock(headers, rows, num_names=2)


def _difference_cells(row: Record) -> list[str]:
    spread_pp = DASH if row["n"] in (None, 0, 1) else f"{row['std']:.1f}"
    return [signed(row), spread_pp, DASH if row["n"] is None else str(row["n"])]


def _outcome(row: Record, *, holds: str, reversed_: str) -> str:
    if row["verdict"] == "not resolved":
        inside = row["low"] <= 0 <= row["high"]
        return f"not resolved: {'0 lies inside' if inside else 'seeds disagree'}"
    return str({"holds": holds, "reversed": reversed_}.get(row["verdict"], row["verdict"]))

"""What every guidance method gains over pooling: ours with both intervals, the published beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synthgap.reporting.drawing import (
    INK,
    SOFT,
    SYNTHETIC,
    TO_REAL,
    ReportFigure,
    legend_above,
    render_figure,
)
from synthgap.reporting.guide_published import (
    BASE_NAMES,
    BASELINE_METHODS,
    base_method,
    by_protocol,
    is_low_shot,
    published_differences,
    published_tables,
)
from synthgap.reporting.record_names import METHOD_NAMES, Record, method_name, select
from synthgap.reporting.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {"holds": TO_REAL, "reversed": SYNTHETIC}
ROW_IN = 0.3  # inches of one row
PUBLISHED_STYLE: dict[str, Any] = {
    "color": INK, "markersize": 3.6, "markerfacecolor": "none", "markeredgewidth": 0.7,
    "linestyle": "none", "zorder": 4,
}  # fmt: skip
SEED_BAR, IMAGE_BAR, PUBLISHED_ROW = 0.16, -0.02, -0.24  # places of bars and diamonds in a row


@dataclass(frozen=True)
class ProtocolPanel:
    """One protocol's rows from the top, with the published differences of each method."""

    title: str
    rows: Sequence[Record]  # comparisons
    theirs: Mapping[str, Sequence[float]]
    base: str


def guide_figure(summary: Summary) -> ReportFigure | None:
    """Draw a panel a protocol; nothing where no method was held against another."""
    panels = [panel for panel in _panels(summary) if panel.rows]
    if not panels:
        return None
    counts = [len(panel.rows) for panel in panels]

    def paint(figure: Figure) -> None:
        grid = figure.subplots(len(panels), 1, height_ratios=[count + 1.2 for count in counts],
                               squeeze=False)  # fmt: skip
        for (axes,), panel in zip(grid, panels, strict=True):
            _draw_panel(axes, panel)
        _legend(figure, grid[0][0], [row for panel in panels for row in panel.rows])

    alt = f"{summary.recipe}: what each guidance method gains over pooling or synthetic alone"
    height = 0.9 + sum(ROW_IN * count + 0.9 for count in counts)
    return render_figure((summary.recipe, "guide"), alt, (8.8, height), paint)


def _panels(summary: Summary) -> list[ProtocolPanel]:
    found = []
    for name, methods in by_protocol(summary.top1).items():
        rows = [
            row
            for row in select(summary.comparisons, kind="guidance", protocol=name)
            if row["method"] not in BASELINE_METHODS and row["difference_pp"] is not None
        ]
        order = list(METHOD_NAMES)
        rows.sort(key=lambda row: order.index(row["method"]) if row["method"] in order else 99)
        tables = published_tables(low_shot=is_low_shot(methods), init=str(methods[0]["init"]))
        theirs = {row["method"]: published_differences(tables, row["method"]) for row in rows}
        numbers = " and ".join(table["table"] for table in tables)
        title = f"{name} (diamonds: Table {numbers})"
        found.append(ProtocolPanel(title, rows, theirs, base_method(methods)))
    return found


def _draw_panel(axes: Axes, panel: ProtocolPanel) -> None:
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.axvline(0, color=SOFT, linewidth=1.0)
    axes.set_title(panel.title)
    axes.tick_params(axis="y", length=0, pad=9)
    axes.set_xlabel(f"difference in top-1 to {BASE_NAMES[panel.base]} (points)")
    names = [method_name(row["method"]) for row in panel.rows]
    axes.set_yticks(range(len(names)), names[::-1])
    axes.set_ylim(-0.7, len(names) - 0.3)
    low, high = _limits(panel.rows)
    for height, row in enumerate(reversed(panel.rows)):
        _mark(axes, row, height)
        _draw_published(axes, panel.theirs[row["method"]], (low, high), height + PUBLISHED_ROW)
    axes.set_xlim(low, high)


def _limits(rows: Sequence[Record]) -> tuple[float, float]:
    """Room for all of ours; the published numbers may lie beyond."""
    keys = ("difference_pp", "low", "high", "seed_low", "seed_high")
    ends = [float(row[key]) for row in rows for key in keys if row[key] is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = max(1.0, 0.08 * (high - low))
    return low - room, high + room


def _mark(axes: Axes, row: Record, height: float) -> None:
    color = COLORS.get(row["verdict"], SOFT)
    single = row["seed_low"] is None
    if not single:
        axes.hlines(
            height + SEED_BAR, row["seed_low"], row["seed_high"], color=color, linewidth=2.2
        )
        axes.hlines(height + IMAGE_BAR, row["low"], row["high"], color=color, linewidth=0.9)
    axes.plot(
        [row["difference_pp"]], [height + SEED_BAR], "o", color=color, zorder=3, linestyle="none",
        markerfacecolor="none" if single else color,
    )  # fmt: skip


def _draw_published(
    axes: Axes, values: Sequence[float], limits: tuple[float, float], height: float
) -> None:
    low, high = limits
    beyond = {"<": low if min(values, default=low) < low else None,
              ">": high if max(values, default=high) > high else None}  # fmt: skip
    inside = [value for value in values if low <= value <= high]
    axes.plot(inside, [height] * len(inside), "D", **PUBLISHED_STYLE)
    for marker, edge in beyond.items():
        if edge is not None:
            axes.plot([edge], [height], marker, clip_on=False, **PUBLISHED_STYLE)


def _legend(figure: Figure, axes: Axes, rows: Sequence[Record]) -> None:
    kinds = {row["verdict"] for row in rows}
    named = {"holds": "beats it", "reversed": "below it", "not resolved": "not resolved"}
    for verdict, name in named.items():
        if verdict in kinds:
            color = COLORS.get(verdict, SOFT)
            axes.plot([], [], "o-", color=color, label=f"ours: {name}")
    if "single run" in kinds:
        axes.plot([], [], "o", color=SOFT, markerfacecolor="none", label="ours: a single run")
    axes.plot([], [], "D", label="PG/RG", **PUBLISHED_STYLE)
    legend_above(figure, axes, 5)

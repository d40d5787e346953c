"""What every ablation changes, in points: ours with intervals, the published beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from synthgap.reporting.ablations import QUESTIONS, SIDES, Ablated, ablated
from synthgap.reporting.drawing import INK, REAL, SOFT, SYNTHETIC, Drawing, draw, legend_above
from synthgap.reporting.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {"real": REAL, "synthetic": SYNTHETIC}
ROW_IN = 0.27  # inches of one row
PUBLISHED: dict[str, Any] = {
    "color": INK, "marker": "D", "markersize": 4.5, "markerfacecolor": "none", "linestyle": "none",
}  # fmt: skip
OURS, THEIRS = 0.13, -0.17  # rows above and below the middle of a row


def forest_figure(summary: Summary) -> Drawing | None:
    """Draw each change's difference to the student without it, real and synthetic side by side."""
    groups = {
        question.title: [each for each in ablated(summary, question.key) if each.difference]
        for question in QUESTIONS
        if question.key != "sources"  # whose rows have bases of their own
    }
    rows = _rows(groups)
    if not rows:
        return None

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, side in zip(panels, SIDES, strict=True):
            axes.grid(visible=False, axis="y")
            axes.grid(visible=True, axis="x")
            axes.axvline(0, color=SOFT, linewidth=1.0)
            axes.set_title(f"trained on {side} images")
            axes.tick_params(axis="y", length=0)
            axes.set_xlabel("difference in top-1 (points)")
            for height, name in enumerate(reversed(rows)):
                for each in groups.get(name[0], []):
                    if (each.side, each.label) == (side, name[1]):
                        _mark(axes, each, height)
        _names(panels[0], rows)
        panels[0].plot([], [], "o", color=INK, label="ours")
        panels[0].plot([], [], **PUBLISHED, label="MtG: ImageNet-100, ResNet-50")
        legend_above(figure, panels[0], 2)

    alt = f"{summary.recipe}: what each ablation changes, on real and on synthetic images"
    return draw((summary.recipe, "ablations"), alt, (9.2, 1.5 + ROW_IN * len(rows)), paint)


def _rows(groups: dict[str, list[Ablated]]) -> list[tuple[str, str]]:
    """(question, change) from the top; a question's own line has no change."""
    rows: list[tuple[str, str]] = []
    for title, found in groups.items():
        if found:
            labels = dict.fromkeys(each.label for each in found)
            rows += [(title, ""), *((title, label) for label in labels)]
    return rows


def _mark(axes: Axes, each: Ablated, height: float) -> None:
    difference, color = each.difference, COLORS[each.side]
    assert difference is not None
    if difference["difference_pp"] is not None:
        axes.hlines(height + OURS, difference["low"], difference["high"], color=color)
        axes.plot([difference["difference_pp"]], [height + OURS], "o", color=color, zorder=3)
    if each.published_difference is not None:
        axes.plot([each.published_difference], [height + THEIRS], **PUBLISHED)


def _names(axes: Axes, rows: Sequence[tuple[str, str]]) -> None:
    axes.set_yticks(range(len(rows)), [change or title for title, change in reversed(rows)])
    for tick, (_, change) in zip(axes.get_yticklabels(), reversed(rows), strict=True):
        tick.set_fontweight("normal" if change else "bold")
    axes.set_ylim(-0.7, len(rows) - 0.3)

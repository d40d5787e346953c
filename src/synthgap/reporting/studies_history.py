"""How a study went: every trial's value in order, and the best so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synthgap.reporting.drawing import SOFT, SYNTHETIC, TO_REAL, Drawing, draw
from synthgap.reporting.studies import Findings, Objective, running_best, valued
from synthgap.reporting.studies_axes import limits
from synthgap.reporting.studies_names import metric_name, metric_word, score
from synthgap.reporting.studies_points import legend, legend_entries, mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_IN = 2.7  # inches of one objective's height


def history_figure(found: Findings) -> Drawing | None:
    """Draw a panel an objective; nothing where no trial has ended."""
    if not found.trials:
        return None
    objectives = found.objectives

    def paint(figure: Figure) -> None:
        grid = figure.subplots(len(objectives), 1, squeeze=False, sharex=True)
        for (axes,), objective in zip(grid, objectives, strict=True):
            _panel(axes, found, objective)
        grid[-1][0].set_xlabel("trial")
        axes = grid[0][0]
        drawn = [row for each in objectives for row, _ in valued(found.trials, each.metric)]
        legend_entries(axes, drawn)
        if found.having("failed"):
            axes.plot([], [], "x", color=SYNTHETIC, linestyle="none", label="failed")
        if any(running_best(found, objective) for objective in objectives):
            axes.plot([], [], color=TO_REAL, label="best so far")
        legend(figure, axes)

    alt = f"{found.recipe}, study {found.name}: {_told(found)}"
    size = (9.2, 0.9 + PANEL_IN * len(objectives))
    return draw((found.recipe, "tune-history"), alt, size, paint)


def _panel(axes: Axes, found: Findings, objective: Objective) -> None:
    from matplotlib.ticker import MaxNLocator

    points = [(row, float(row["trial"]), y) for row, y in valued(found.trials, objective.metric)]
    ends = limits(found, objective.metric)
    beyond = mark(axes, points, ends)
    steps = running_best(found, objective)
    last = int(found.trials[-1]["trial"])
    if steps:
        x, y = [float(slot) for slot, _ in steps], [reached for _, reached in steps]
        axes.step([*x, last + 0.5], [*y, y[-1]], where="post", color=TO_REAL, zorder=2)
    for row in found.having("failed"):
        axes.plot(
            [row["trial"]], [0.03], "x", color=SYNTHETIC, transform=axes.get_xaxis_transform(),
            markersize=6, markeredgewidth=1.6,
        )  # fmt: skip
    if ends is not None:
        axes.set_ylim(*ends)
    else:
        axes.set_yticks([])
    if beyond:
        axes.set_title(f"{beyond} far beyond, drawn hollow at the edge", color=SOFT, fontsize=8.5)
    axes.set_xlim(-0.8, max(last, 1) + 0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(metric_name(objective.metric))


def _told(found: Findings) -> str:
    """The same in words, for those who do not see it."""
    told = []
    for objective in found.objectives:
        steps = running_best(found, objective)
        name = metric_word(objective.metric)
        if not steps:
            told.append(f"{name}: no complete trial")
            continue
        first, best = steps[0], steps[-1]
        told.append(
            f"{name} of every trial; the best so far goes from "
            f"{score(objective.metric, first[1])} at trial {first[0]} to "
            f"{score(objective.metric, best[1])} at trial {best[0]}"
        )
    return "; ".join(told)

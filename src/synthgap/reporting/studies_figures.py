"""How a study went: every trial's value in order, and the best so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synthgap.reporting.drawing import (
    INK,
    REAL,
    SOFT,
    SYNTHETIC,
    TO_REAL,
    ReportFigure,
    render_figure,
)
from synthgap.reporting.formats import number
from synthgap.reporting.studies import Objective, StudyFindings, running_best, value, valued
from synthgap.reporting.studies_axes import legend, legend_entries, limits, mark
from synthgap.reporting.studies_names import key_names, metric_name, metric_word, score, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


PANEL_IN = 2.7  # inches of one objective's height


def history_figure(found: StudyFindings) -> ReportFigure | None:
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

    alt = f"{found.recipe}, study {found.name}: {_history_text(found)}"
    size = (9.2, 0.9 + PANEL_IN * len(objectives))
    return render_figure((found.recipe, "tune-history"), alt, size, paint)


def _panel(axes: Axes, found: StudyFindings, objective: Objective) -> None:
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


def _history_text(found: StudyFindings) -> str:
    """The same in words, for those who do not see it."""
    parts = []
    for objective in found.objectives:
        steps = running_best(found, objective)
        name = metric_word(objective.metric)
        if not steps:
            parts.append(f"{name}: no complete trial")
            continue
        first, best = steps[0], steps[-1]
        parts.append(
            f"{name} of every trial; the best so far goes from "
            f"{score(objective.metric, first[1])} at trial {first[0]} to "
            f"{score(objective.metric, best[1])} at trial {best[0]}"
        )
    return "; ".join(parts)


BAR_IN = 0.34  # inches of one bar
MAX_NAMED = 12  # trials of a front that are named


def importance_figure(found: StudyFindings) -> ReportFigure | None:
    """Draw each key's share as a bar; nothing where too few trials are complete to tell."""
    shares = found.importances
    if not shares:
        return None
    names = key_names(found.keys)
    keys = [key for key in found.keys if key in shares][::-1]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        axes.barh(range(len(keys)), [100 * shares[key] for key in keys], height=0.62, color=REAL)
        for height, key in enumerate(keys):
            axes.annotate(
                f"{100 * shares[key]:.0f} %", (100 * shares[key], height), xytext=(5, 0),
                textcoords="offset points", va="center", fontsize=9, color=INK,
            )  # fmt: skip
        axes.set_yticks(range(len(keys)), [wrapped(names[key], 40) for key in keys])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.6, len(keys) - 0.4)
        axes.margins(x=0.08)
        axes.set_xlabel(f"importance for {metric_word(found.objectives[0].metric)} (%)")

    listed = ", ".join(f"{names[key]} {100 * shares[key]:.0f} %" for key in reversed(keys))
    alt = f"{found.recipe}, study {found.name}: importance of {listed}"
    return render_figure(
        (found.recipe, "tune-importance"), alt, (9.2, 0.9 + BAR_IN * len(keys)), paint
    )


def pareto_figure(found: StudyFindings) -> ReportFigure | None:
    """Draw the first objective against each other one; nothing where there is only one."""
    first, *others = found.objectives
    if not others or not any(True for _ in valued(found.complete, first.metric)):
        return None

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, len(others), squeeze=False, sharey=True)[0]
        for axes, other in zip(panels, others, strict=True):
            _front(axes, found, first, other)
        panels[0].set_ylabel(_aim(first))
        legend_entries(panels[0], found.complete)
        legend(figure, panels[0])

    names = " against ".join(metric_word(each.metric) for each in found.objectives)
    front = ", ".join(str(slot) for slot in found.study.get("pareto") or ())
    alt = f"{found.recipe}, study {found.name}: {names}; Pareto front: trials {front or 'none'}"
    return render_figure((found.recipe, "tune-pareto"), alt, (9.2, 4.2), paint)


def _aim(objective: Objective) -> str:
    more = "more" if objective.maximised else "less"
    return f"{metric_name(objective.metric)}, {more} is better"


def _front(axes: Axes, found: StudyFindings, first: Objective, other: Objective) -> None:
    points = []
    for trial, y in valued(found.complete, first.metric):
        x = value(trial, other.metric)
        if x is not None:
            points.append((trial, x, y))
    mark(axes, points, None)
    slots = [row["trial"] for row in found.front]
    ends = sorted(
        ((x, y, row) for row, x, y in points if row["trial"] in slots), key=lambda end: end[:2]
    )
    axes.plot(
        [x for x, *_ in ends], [y for _, y, _ in ends], color=TO_REAL, linewidth=1.4, zorder=2,
        drawstyle="steps-post" if first.maximised != other.maximised else "steps-pre",
        label="Pareto front",
    )  # fmt: skip
    for x, y, row in ends if len(ends) <= MAX_NAMED else ():
        axes.annotate(
            str(row["trial"]), (x, y), xytext=(5, 5), textcoords="offset points", fontsize=8,
            color=INK,
        )  # fmt: skip
    axes.margins(0.08)
    axes.set_xlabel(_aim(other))


def verdict_figure(found: StudyFindings) -> ReportFigure | None:
    """Draw each seed's default and winner on test, and their paired difference; nothing before."""
    verdict, winner = found.study.get("verdict"), found.study.get("winner")
    if not verdict or not winner or winner["tuned"] == found.default:
        return None

    def paint(figure: Figure) -> None:
        seeds, paired = figure.subplots(1, 2, width_ratios=(1.5, 1))
        for x, (base, won) in enumerate(zip(verdict["default"], verdict["winner"], strict=True)):
            seeds.vlines(x, base, won, color=SOFT, linewidth=1.0)
            seeds.plot([x], [base], "D", color=SYNTHETIC, label=None if x else "default")
            seeds.plot([x], [won], "o", color=REAL, label=None if x else "winner")
        seeds.set_xticks(range(len(verdict["seeds"])), [str(seed) for seed in verdict["seeds"]])
        seeds.set_xlim(-0.6, len(verdict["seeds"]) - 0.4)
        seeds.set_xlabel("seed")
        seeds.set_ylabel("test accuracy (%)")
        _difference(paired, verdict)
        legend(figure, seeds)

    mean = number(verdict["difference"]["mean"], 1, "+")
    alt = (
        f"{found.recipe}, study {found.name}: test accuracy of winner and default at every seed; "
        f"paired difference {mean} points"
    )
    return render_figure((found.recipe, "tune-verdict"), alt, (9.2, 2.9), paint)


def _outcome(low: float | None, high: float | None) -> tuple[str, str]:
    """Colour and word of an interval."""
    if low is None or high is None or low <= 0 <= high:
        return SOFT, "not resolved"
    return (TO_REAL, "resolved: gains") if low > 0 else (SYNTHETIC, "resolved: loses")


def _difference(axes: Axes, verdict: dict[str, dict[str, float | None]]) -> None:
    paired = verdict["difference"]
    mean = float(paired["mean"] or 0.0)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.axvline(0, color=SOFT, linewidth=1.0)
    color, outcome = _outcome(paired["low"], paired["high"])
    if paired["low"] is not None and paired["high"] is not None:
        axes.hlines(0, paired["low"], paired["high"], color=color, linewidth=2.2)
    axes.plot([mean], [0], "o", color=color, markersize=7)
    for text, below in ((number(mean, 1, "+"), 9), (outcome, -20)):
        axes.annotate(text, (mean, 0), xytext=(0, below), textcoords="offset points", ha="center")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-1, 1)
    axes.margins(x=0.2)
    axes.set_xlabel("winner minus default (points)")

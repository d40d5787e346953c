"""Slices: the objective against one setting at a time, and against each watched metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING, Any

from synthgap.reporting.drawing import INK, REAL, SOFT, SYNTHETIC, ReportFigure, render_figure
from synthgap.reporting.formats import number
from synthgap.reporting.studies import Objective, StudyFindings, Trial, value, valued
from synthgap.reporting.studies_axes import Axis, jitter, legend, legend_entries, limits, mark
from synthgap.reporting.studies_names import key_names, metric_name, score, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLUMNS = 4
PANEL_IN = 2.15  # inches of one panel's height
ROOM = 24  # characters of ticks' names beyond which they are turned
Point = tuple[Trial, float, float]


def slices_figure(found: StudyFindings) -> ReportFigure | None:
    """Draw a panel a key; nothing below two trials with a value."""
    metric = found.objectives[0].metric
    trials = list(valued(found.trials, metric))
    if len(trials) < 2:
        return None
    ends = limits(found, metric)
    assert ends is not None  # there are trials with a value
    names = key_names(found.keys)

    def paint(figure: Figure) -> None:
        panels = _panels(figure, len(found.keys), sharey=True)
        for axes, key in zip(panels, found.keys, strict=True):
            scale = Axis.of(found, key)
            mark(axes, _points(scale, key, trials), ends)
            axes.set_xlim(-0.12, 1.12)
            ticks = scale.ticks()
            axes.set_xticks([at for at, _ in ticks], [name for _, name in ticks])
            if len(ticks) * max(len(name) for _, name in ticks) > ROOM:
                axes.tick_params(axis="x", labelrotation=30, labelsize=8)
            axes.set_xlabel(wrapped(names[key], 26) + (", log" if scale.log else ""))
            axes.set_ylim(*ends)
        _outer(panels, metric_name(metric))
        legend_entries(panels[0], [row for row, _ in trials])
        legend(figure, panels[0])

    alt = (
        f"{found.recipe}, study {found.name}: {metric_name(metric)} of every trial against each "
        f"of {', '.join(names.values())}"
    )
    return render_figure((found.recipe, "tune-slices"), alt, _size(len(found.keys)), paint)


def _points(scale: Axis, key: str, trials: Sequence[tuple[Trial, float]]) -> Iterator[Point]:
    width = min(0.16, 0.4 / max(1, len(scale.choices) - 1)) if scale.choices else 0.0
    for trial, y in trials:
        at = scale.place(trial["tuned"].get(key))
        if at is not None:
            yield trial, at + jitter(int(trial["trial"]), width), y


def watched_figure(found: StudyFindings) -> ReportFigure | None:
    """Draw each other metric against val accuracy of complete trials, with the rank correlation."""
    ranks = {
        name: each
        for name, each in (found.study.get("correlations") or {}).items()
        if name != "val/top1" and len(list(_pairs(found, name))) > 1
    }
    if not ranks:
        return None

    def paint(figure: Figure) -> None:
        panels = _panels(figure, len(ranks), sharey=True)
        for axes, (name, each) in zip(panels, ranks.items(), strict=True):
            mark(axes, _pairs(found, name), None)
            axes.set_title(_correlation(each), fontsize=9)
            axes.set_xlabel(wrapped(metric_name(name), 26))
            axes.margins(0.12)
            axes.locator_params(axis="x", nbins=4)
        _outer(panels, metric_name("val/top1"))
        legend_entries(panels[0], found.complete)
        legend(figure, panels[0])

    listed = "; ".join(f"{metric_name(name)}: {_correlation(each)}" for name, each in ranks.items())
    alt = f"{found.recipe}, study {found.name}: other metrics against val accuracy; {listed}"
    return render_figure((found.recipe, "tune-watched"), alt, _size(len(ranks)), paint)


def _pairs(found: StudyFindings, name: str) -> Iterator[Point]:
    for trial, x in valued(found.complete, name):
        top1 = value(trial, "val/top1")
        if top1 is not None:
            yield trial, x, top1


def _correlation(each: dict[str, Any]) -> str:
    if each["spearman"] is None:
        return f"Spearman undefined (n={each['n']})"
    return f"Spearman {number(each['spearman'], 2)} (n={each['n']})"


def _size(count: int) -> tuple[float, float]:
    return 9.2, 0.7 + PANEL_IN * -(-count // COLUMNS)


def _panels(figure: Figure, count: int, *, sharey: bool) -> list[Axes]:
    """At least two columns, so that a single panel is not as wide as the page."""
    columns = max(2, min(COLUMNS, count))
    grid = figure.subplots(-(-count // columns), columns, squeeze=False, sharey=sharey)
    panels = [axes for row in grid for axes in row]
    for axes in panels[count:]:
        axes.set_axis_off()
    return panels[:count]


def _outer(panels: Sequence[Axes], name: str) -> None:
    for axes in panels:
        if axes.get_subplotspec().is_first_col():  # type: ignore[union-attr]
            axes.set_ylabel(name)


PAPER = "#fefefe"  # becomes the page's own background behind the names of ticks
AXIS_IN = 0.98  # inches between two axes
FEW = 50  # trials above which all lines are fainter
QUARTERS = (0.16, 0.32, 0.6, 1.0)  # opacity of trials from the worst quarter to the best


def parallel_figure(found: StudyFindings) -> ReportFigure | None:
    """Draw an axis a key, the first objective last; nothing below two trials with a value."""
    objective = found.objectives[0]
    trials = [row for row, _ in valued(found.trials, objective.metric)]
    if len(trials) < 2:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        _axes(axes, found, objective)
        _lines(axes, found, objective, trials)
        _legend(figure, axes, found, trials)

    size = (max(9.2, AXIS_IN * (len(found.keys) + 1.4)), 4.3 if len(found.keys) < 9 else 5.6)
    alt = (
        f"{found.recipe}, study {found.name}: a line a trial through its "
        f"{len(found.keys)} settings to its {metric_name(objective.metric)}"
    )
    drawing = render_figure((found.recipe, "tune-parallel"), alt, size, paint)
    return replace(drawing, svg=drawing.svg.replace(PAPER, "var(--paper)"))


def _ends(found: StudyFindings, objective: Objective) -> tuple[float, float]:
    ends = limits(found, objective.metric)
    assert ends is not None  # there are trials with a value
    return ends


def _axes(axes: Axes, found: StudyFindings, objective: Objective) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.grid(visible=False)
    names = key_names(found.keys)
    for x, key in enumerate(found.keys):
        scale = Axis.of(found, key)
        _axis(axes, x, scale.ticks(), wrapped(names[key]) + ("\n(log)" if scale.log else ""))
    low, high = _ends(found, objective)
    marks = [at for at in MaxNLocator(5).tick_values(low, high) if low <= at <= high]
    ticks = [((at - low) / (high - low), score(objective.metric, at)) for at in marks]
    _axis(axes, len(found.keys), ticks, wrapped(metric_name(objective.metric)), bold=True)
    axes.set_xlim(-0.25, len(found.keys) + 0.55)
    axes.set_ylim(-0.05, 1.05)
    axes.set_yticks([])
    axes.set_xticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _axis(
    axes: Axes, x: int, ticks: list[tuple[float, str]], name: str, *, bold: bool = False
) -> None:
    axes.vlines(x, -0.03, 1.03, color=SOFT, linewidth=1.0, zorder=4)
    back = {"facecolor": PAPER, "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
    for at, text in ticks:
        axes.text(x + 0.05, at, text, va="center", fontsize=8, color=INK, zorder=6, bbox=back)
    axes.text(
        x, 1.09, name, ha="center", va="bottom", fontsize=8.8,
        fontweight="bold" if bold else "normal",
    )  # fmt: skip


def _lines(axes: Axes, found: StudyFindings, objective: Objective, trials: list[Trial]) -> None:
    scales = {key: Axis.of(found, key) for key in found.keys}
    low, high = _ends(found, objective)
    complete = [row for row in trials if row["state"] == "complete"]
    complete.sort(
        key=lambda row: value(row, objective.metric) or 0.0, reverse=not objective.maximised
    )
    ranks = {row["trial"]: rank / max(1, len(complete) - 1) for rank, row in enumerate(complete)}
    best = found.best["trial"] if found.best else None
    for trial in trials:
        heights: list[float] = []
        for key, scale in scales.items():
            at = scale.place(trial["tuned"].get(key))
            if at is None:
                break
            spread = 0.05 if scale.choices else 0.0
            heights.append(at + jitter(int(trial["trial"]), spread))
        else:
            end = ((value(trial, objective.metric) or 0.0) - low) / (high - low)
            heights.append(min(1.03, max(-0.03, end)))
            style = _style(ranks.get(trial["trial"]), best=trial["trial"] == best)
            if trial["trial"] != best:
                style["alpha"] *= min(1.0, sqrt(FEW / len(trials)))
            axes.plot(range(len(heights)), heights, **style)


def _style(rank: float | None, *, best: bool) -> dict[str, Any]:
    if best:
        return {"color": SYNTHETIC, "linewidth": 2.6, "zorder": 5, "marker": "o", "markersize": 5}
    if rank is None:
        return {"color": SOFT, "linewidth": 0.8, "linestyle": (0, (2, 2)), "alpha": 0.45}
    quarter = min(3, int(4 * rank))
    return {"color": REAL, "linewidth": 0.7 + 0.35 * quarter, "alpha": QUARTERS[quarter],
            "zorder": 2 + quarter / 4}  # fmt: skip


def _legend(figure: Figure, axes: Axes, found: StudyFindings, trials: list[Trial]) -> None:
    if found.best is not None:
        axes.plot([], [], label=f"best, trial {found.best['trial']}", **_style(1.0, best=True))
    if found.complete:
        for rank, name in ((1.0, "best quarter"), (0.0, "worst quarter")):
            axes.plot([], [], label=name, **_style(rank, best=False))
    if any(row["state"] == "pruned" for row in trials):
        axes.plot([], [], label="pruned", **_style(None, best=False))
    legend(figure, axes)

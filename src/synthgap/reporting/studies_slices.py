"""Slices: the objective against one setting at a time, and against each watched metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from synthgap.reporting.drawing import Drawing, draw
from synthgap.reporting.formats import number
from synthgap.reporting.studies import Findings, Trial, value, valued
from synthgap.reporting.studies_axes import Axis, jitter, limits
from synthgap.reporting.studies_names import key_names, metric_name, wrapped
from synthgap.reporting.studies_points import legend, legend_entries, mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
PANEL_IN = 2.15  # inches of one panel's height
ROOM = 24  # characters of ticks' names beyond which they are turned
Point = tuple[Trial, float, float]


def slices_figure(found: Findings) -> Drawing | None:
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
    return draw((found.recipe, "tune-slices"), alt, _size(len(found.keys)), paint)


def _points(scale: Axis, key: str, trials: Sequence[tuple[Trial, float]]) -> Iterator[Point]:
    width = min(0.16, 0.4 / max(1, len(scale.choices) - 1)) if scale.choices else 0.0
    for trial, y in trials:
        at = scale.place(trial["tuned"].get(key))
        if at is not None:
            yield trial, at + jitter(int(trial["trial"]), width), y


def watched_figure(found: Findings) -> Drawing | None:
    """Draw each other metric against val accuracy of complete trials, with the rank correlation."""
    shown = {
        name: each
        for name, each in (found.study.get("correlations") or {}).items()
        if name != "val/top1" and len(list(_pairs(found, name))) > 1
    }
    if not shown:
        return None

    def paint(figure: Figure) -> None:
        panels = _panels(figure, len(shown), sharey=True)
        for axes, (name, each) in zip(panels, shown.items(), strict=True):
            mark(axes, _pairs(found, name), None)
            axes.set_title(_correlation(each), fontsize=9)
            axes.set_xlabel(wrapped(metric_name(name), 26))
            axes.margins(0.12)
            axes.locator_params(axis="x", nbins=4)
        _outer(panels, metric_name("val/top1"))
        legend_entries(panels[0], found.complete)
        legend(figure, panels[0])

    told = "; ".join(f"{metric_name(name)}: {_correlation(each)}" for name, each in shown.items())
    alt = f"{found.recipe}, study {found.name}: other metrics against val accuracy; {told}"
    return draw((found.recipe, "tune-watched"), alt, _size(len(shown)), paint)


def _pairs(found: Findings, name: str) -> Iterator[Point]:
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

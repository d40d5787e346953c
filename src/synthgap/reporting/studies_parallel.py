"""Parallel coordinates: which settings the good trials have in common."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING, Any

from synthgap.reporting.drawing import INK, REAL, SOFT, SYNTHETIC, Drawing, draw
from synthgap.reporting.studies import Findings, Objective, Trial, value, valued
from synthgap.reporting.studies_axes import Axis, jitter, limits
from synthgap.reporting.studies_names import key_names, metric_name, score, wrapped
from synthgap.reporting.studies_points import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER = "#fefefe"  # becomes the page's own background behind the names of ticks
AXIS_IN = 0.98  # inches between two axes
FEW = 50  # trials above which all lines are fainter
QUARTERS = (0.16, 0.32, 0.6, 1.0)  # opacity of trials from the worst quarter to the best


def parallel_figure(found: Findings) -> Drawing | None:
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
    drawing = draw((found.recipe, "tune-parallel"), alt, size, paint)
    return replace(drawing, svg=drawing.svg.replace(PAPER, "var(--paper)"))


def _ends(found: Findings, objective: Objective) -> tuple[float, float]:
    ends = limits(found, objective.metric)
    assert ends is not None  # there are trials with a value
    return ends


def _axes(axes: Axes, found: Findings, objective: Objective) -> None:
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


def _lines(axes: Axes, found: Findings, objective: Objective, trials: list[Trial]) -> None:
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


def _legend(figure: Figure, axes: Axes, found: Findings, trials: list[Trial]) -> None:
    if found.best is not None:
        axes.plot([], [], label=f"best, trial {found.best['trial']}", **_style(1.0, best=True))
    if found.complete:
        for rank, name in ((1.0, "best quarter"), (0.0, "worst quarter")):
            axes.plot([], [], label=name, **_style(rank, best=False))
    if any(row["state"] == "pruned" for row in trials):
        axes.plot([], [], label="pruned", **_style(None, best=False))
    legend(figure, axes)

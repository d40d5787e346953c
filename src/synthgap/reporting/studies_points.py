"""Trials as marks: the shape says how one was chosen, filling and size how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from synthgap.reporting.drawing import CORPUS, REAL, SOFT, SYNTHETIC, TO_SYNTHETIC
from synthgap.reporting.studies import Trial, feasible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {  # by kind: colour, marker, name
    "default": (SYNTHETIC, "D", "default"),
    "grid": (CORPUS, "s", "grid"),
    "first": (TO_SYNTHETIC, "^", "enqueued"),
    "search": (REAL, "o", "sampled"),
}
LEGEND_COLUMNS = 8
FEW = 60  # trials above which marks are smaller


def look(trial: Trial, *, many: bool = False) -> dict[str, Any]:
    """How one trial is drawn: filled, hollow beyond a bound, small and faint where pruned."""
    color, marker, _ = LOOKS[trial["kind"]]
    size = 3.4 if many else 5.2
    if trial["state"] == "pruned":
        return {
            "color": SOFT, "marker": marker, "markersize": size * 0.75, "alpha": 0.6,
            "markerfacecolor": "none", "linestyle": "none", "markeredgewidth": 0.9,
        }  # fmt: skip
    kept = feasible(trial)
    return {
        "color": color, "marker": marker, "markersize": size * (1.35 if marker == "D" else 1.0),
        "markerfacecolor": color if kept else "none", "linestyle": "none", "alpha": 0.9,
        "zorder": 4 if marker == "D" else 3,
    }  # fmt: skip


def mark(
    axes: Axes, points: Iterable[tuple[Trial, float, float]], limits: tuple[float, float] | None
) -> int:
    """Draw (trial, x, y) marks, those beyond the limits of y at its edge; return how many were."""
    every = list(points)
    low, high = limits or (-inf, inf)
    alike: dict[tuple[Any, ...], list[tuple[float, float]]] = {}  # drawn at once: it takes as long
    for trial, x, y in every:
        style = look(trial, many=len(every) > FEW)
        if not low <= y <= high:
            style |= {"clip_on": False, "markerfacecolor": "none"}
        alike.setdefault(tuple(style.items()), []).append((x, min(max(y, low), high)))
    for drawn, places in alike.items():
        axes.plot(*zip(*places, strict=True), **dict(drawn))
    return sum(not low <= y <= high for _, _, y in every)


def legend(figure: Figure, axes: Axes) -> None:
    """Name what is drawn above all axes, in as many lines as it takes."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside upper left", ncols=min(LEGEND_COLUMNS, len(labels)),
            handlelength=1.8, columnspacing=1.3, handletextpad=0.5, fontsize=9,
        )  # fmt: skip


def legend_entries(axes: Axes, trials: Sequence[Trial]) -> None:
    """Name the kinds and states that are drawn."""
    kinds = {row["kind"] for row in trials}
    for kind, (color, marker, name) in LOOKS.items():
        if kind in kinds:
            axes.plot([], [], marker, color=color, linestyle="none", label=name)
    if any(row["state"] == "pruned" for row in trials):
        axes.plot(
            [], [], "o", color=SOFT, markersize=4, markerfacecolor="none", label="pruned (small)"
        )
    if any(row["state"] == "complete" and not feasible(row) for row in trials):
        color = LOOKS["search"][0]
        axes.plot([], [], "o", color=color, markerfacecolor="none", label="beyond a bound")

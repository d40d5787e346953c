"""Where a tuned value stands on its axis: choices evenly, numbers to scale or to log scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, log, sqrt
from typing import TYPE_CHECKING, Any

from synthgap.reporting.drawing import CORPUS, REAL, SOFT, SYNTHETIC, TO_SYNTHETIC
from synthgap.reporting.studies import StudyFindings, Trial, feasible, valued
from synthgap.reporting.studies_names import value_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MAX_TICKS = 6  # choices that an axis names
BESIDE = 0.4  # of the complete trials' range, for pruned ones beside it
EDGE = 0.08  # of the range, between the outermost marks and the frame
FENCE = 4.0  # interquartile ranges below which a value is drawn at the edge


@dataclass(frozen=True)
class Axis:
    """One tuned key: its choices in order, or the ends of its interval."""

    choices: tuple[object, ...]
    low: float = 0.0
    high: float = 1.0
    log: bool = False

    @classmethod
    def of(cls, found: StudyFindings, key: str) -> Axis:
        """From what the space declares, widened by what trials and the default had."""
        section = found.study["space"][key]
        tried = (row["tuned"].get(key) for row in found.trials)
        had = [_rounded(each) for each in (found.default.get(key), *tried)]
        numbers = all(_is_number(each) for each in had if each is not None)
        if isinstance(section, dict) and numbers and not _steps(section):
            values = [section["low"], section["high"], *(each for each in had if each is not None)]
            low, high = min(values), max(values)
            return cls((), float(low), float(high), bool(section["log"]) and low > 0)
        declared = _steps(section) if isinstance(section, dict) else section
        choices = list(dict.fromkeys([*declared, *(each for each in had if each is not None)]))
        if choices and all(map(_is_number, choices)):
            choices.sort(key=lambda each: float(str(each)))
        return cls(tuple(choices))

    def place(self, setting: object) -> float | None:
        """From 0 to 1; nothing for what is not on the axis, such as null among numbers."""
        if self.choices:
            last, named = len(self.choices) - 1, _rounded(setting)
            if named not in self.choices:
                return None
            return self.choices.index(named) / last if last else 0.5
        if not _is_number(setting):
            return None
        at, low, high = float(str(setting)), self.low, self.high
        if self.log:
            at, low, high = log(at), log(low), log(high)
        return (at - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[tuple[float, str]]:
        """(place, name) of choices, or of both ends and the middle."""
        middle = sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        middle = float(f"{middle:.2g}") if self.log else middle
        values = self.choices[:: -(-len(self.choices) // MAX_TICKS)] if self.choices else (
            *(self.low, middle, self.high),
        )  # fmt: skip
        placed = [(self.place(each), value_name(each)) for each in values]
        return [(place, name) for place, name in placed if place is not None]


def _steps(section: dict[str, Any]) -> list[object]:
    """Values of an interval with few steps, which are choices; else none."""
    low, step = section["low"], section["step"]
    count = round((section["high"] - low) / step) if step else MAX_TICKS
    return [_rounded(low + k * step) for k in range(count + 1)] if count < MAX_TICKS else []


def _rounded(setting: object) -> object:
    """A float without the noise of its steps: 0.3 for 0.30000000000000004."""
    return round(setting, 9) if isinstance(setting, float) else setting


def _is_number(setting: object) -> bool:
    return isinstance(setting, int | float) and not isinstance(setting, bool)


def limits(found: StudyFindings, metric: str) -> tuple[float, float] | None:
    """Ends of a metric's axis: room for complete trials, and for pruned ones not far from them.

    A trial that was pruned in its first epochs would flatten all others. Nothing without a value.
    """
    every = [reached for _, reached in valued(found.trials, metric)]
    if not every:
        return None
    complete = [reached for _, reached in valued(found.complete, metric)]
    low, high = fenced(complete if len(complete) > 1 else every)
    room, edge = BESIDE * (high - low), EDGE * (high - low)
    least, most = min(every) - edge, max(every) + edge
    return max(low - room, min(low, least)), min(high + room, max(high, most))


def fenced(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis with room for all but values far off the rest."""
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    lower, upper = ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]
    if upper > lower:
        low = max(low, lower - FENCE * (upper - lower))
        high = min(high, upper + FENCE * (upper - lower))
    room = EDGE * (high - low) or 0.5
    return low - room, high + room


def jitter(slot: int, width: float) -> float:
    """A small offset of a trial's own, so that equal choices do not hide each other."""
    return ((slot * 0.618034) % 1.0 - 0.5) * width


STYLES = {  # by kind: colour, marker, name
    "default": (SYNTHETIC, "D", "default"),
    "grid": (CORPUS, "s", "grid"),
    "first": (TO_SYNTHETIC, "^", "enqueued"),
    "search": (REAL, "o", "sampled"),
}
LEGEND_COLUMNS = 8
FEW = 60  # trials above which marks are smaller


def point_style(trial: Trial, *, many: bool = False) -> dict[str, Any]:
    """How one trial is drawn: filled, hollow beyond a bound, small and faint where pruned."""
    color, marker, _ = STYLES[trial["kind"]]
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
        style = point_style(trial, many=len(every) > FEW)
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
    for kind, (color, marker, name) in STYLES.items():
        if kind in kinds:
            axes.plot([], [], marker, color=color, linestyle="none", label=name)
    if any(row["state"] == "pruned" for row in trials):
        axes.plot(
            [], [], "o", color=SOFT, markersize=4, markerfacecolor="none", label="pruned (small)"
        )
    if any(row["state"] == "complete" and not feasible(row) for row in trials):
        color = STYLES["search"][0]
        axes.plot([], [], "o", color=color, markerfacecolor="none", label="beyond a bound")

"""Where a tuned value stands on its axis: choices evenly, numbers to scale or to log scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Any

from synthgap.reporting.studies import Findings, valued
from synthgap.reporting.studies_names import value_name

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
    def of(cls, found: Findings, key: str) -> Axis:
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
        shown = self.choices[:: -(-len(self.choices) // MAX_TICKS)] if self.choices else (
            *(self.low, middle, self.high),
        )  # fmt: skip
        placed = [(self.place(each), value_name(each)) for each in shown]
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


def limits(found: Findings, metric: str) -> tuple[float, float] | None:
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

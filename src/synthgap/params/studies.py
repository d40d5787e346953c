"""Sections `studies` and `tune`: what is searched, over which values, by which objective."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from synthgap.params.guidance import MethodName

Value = str | int | float | bool | None
Metric = Literal[
    "val/top1", "val/balanced", "val/loss", "val/ece",
    "real_labels", "holdout", "agreement", "clip_score",
]  # fmt: skip
METRICS: tuple[str, ...] = get_args(Metric)
SMALLER: frozenset[str] = frozenset({"val/loss", "val/ece", "real_labels"})
"""Metrics of which less is better."""
LABELLED: frozenset[str] = frozenset({"val/top1", "val/balanced", "val/loss", "val/ece"})
"""Metrics that spend the labels of `val`."""

Sampler = Literal["tpe", "random", "gp", "nsga2"]
Pruner = Literal["none", "hyperband", "successive_halving", "median", "wilcoxon"]


@dataclass(frozen=True)
class SearchInterval:
    """Numbers from `low` to `high`, both included; `step` null: all of them."""

    low: float
    high: float
    step: float | None
    log: bool

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.low >= self.high:
            yield f"low: {self.low:g}, high: {self.high:g}, expected low below high"
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            yield f"step: {self.step:g}, expected above 0, at most high - low, or null"
        if self.log and (self.low <= 0 or self.step is not None):
            yield "log: true, expected low above 0 and step: null"


@dataclass(frozen=True)
class Bound:
    """What a metric must reach at least, or at most; null: no such bound."""

    least: float | None
    most: float | None

    def problems(self) -> Iterator[str]:
        """Name a bound that bounds nothing."""
        if self.least is None and self.most is None:
            yield "least: null, most: null, expected at least one of them"


@dataclass(frozen=True)
class Finals:
    """What follows the search: the best `count` trials again with `seeds`, by their mean on val.

    The best of them and the default are then scored once, at every one of `scored_seeds`.
    """

    count: int
    seeds: tuple[int, ...]
    scored_seeds: tuple[int, ...]

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.count < 1:
            yield f"count: {self.count}, expected at least 1"
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            yield f"seeds: {list(self.seeds)}, expected at least one, without repeats"
        if len(self.scored_seeds) < 2 or len(set(self.scored_seeds)) < len(self.scored_seeds):
            given = list(self.scored_seeds)
            yield f"scored_seeds: {given}, expected at least two, without repeats"


@dataclass(frozen=True)
class Study:
    """One search: trials are runs of `method` under `protocol`, as stage `guide` makes them.

    `space` maps keys of params.yaml (`guide.rg.lambda_1`, `training.local_crops.scale.0`) and parts
    of a synthetic set's name (`guide.image_set.guidance_scale`) to what is tried. `shares` are of
    the synthetic set, rising to 1.0: a trial learns from each in turn until it is pruned. Of two
    `grid` keys all values are crossed first. `first` are settings to begin with beside the default.
    """

    protocol: str
    method: MethodName
    objectives: tuple[Metric, ...]
    watched: tuple[Metric, ...]
    constraints: dict[str, Bound]
    sampler: Sampler
    pruner: Pruner
    trials: int
    seeds: tuple[int, ...]
    shares: tuple[float, ...]
    first: tuple[dict[str, Value], ...]
    grid: tuple[str, ...]
    space: dict[str, SearchInterval | tuple[Value, ...]]
    finals: Finals

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.trials < 1:
            yield f"trials: {self.trials}, expected at least 1"
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            yield f"seeds: {list(self.seeds)}, expected at least one, without repeats"
        rising = list(self.shares) == sorted(set(self.shares))
        if not self.shares or not rising or self.shares[0] <= 0 or self.shares[-1] != 1:
            yield f"shares: {list(self.shares)}, expected rising shares above 0 that end with 1.0"
        if not self.space:
            yield "space: {}, expected at least one key of params.yaml"
        yield from self._measure_problems()
        yield from self._start_problems()
        both = set(self.finals.seeds) & {*self.seeds, *self.finals.scored_seeds}
        if both or set(self.seeds) & set(self.finals.scored_seeds):
            yield "finals.seeds: expected seeds that neither the trials nor scored_seeds have"

    def _measure_problems(self) -> Iterator[str]:
        measured = [*self.objectives, *self.watched]
        if not self.objectives or len(set(measured)) < len(measured):
            yield f"objectives, watched: {measured}, expected an objective, and no metric twice"
        if len(self.objectives) > 1 and self.pruner != "none":
            yield f"pruner: {self.pruner}, expected none with more than one objective"
        if self.sampler == "nsga2" and len(self.objectives) == 1:
            yield "sampler: nsga2, expected another one with a single objective"
        if self.pruner == "wilcoxon" and len(self.seeds) < 3:
            yield "pruner: wilcoxon, expected at least three seeds: two tell it nothing"
        for name in self.constraints:
            if name not in METRICS:
                yield f"constraints.{name}: no metric, expected one of {list(METRICS)}"

    def _start_problems(self) -> Iterator[str]:
        if self.grid and (len(set(self.grid)) != 2 or set(self.grid) - set(self.space)):
            yield f"grid: {list(self.grid)}, expected two different keys of space, or none"
        for number, start in enumerate(self.first):
            unknown = sorted(set(start) - set(self.space))
            if unknown:
                yield f"first[{number}]: {unknown}, expected keys of space"

    @property
    def measured(self) -> tuple[str, ...]:
        """Every metric that a trial is asked for, the objectives first."""
        asked = (*self.objectives, *self.watched, *self.constraints)
        return tuple(dict.fromkeys(map(str, asked)))


@dataclass(frozen=True)
class Tune:
    """The study of stage `tune`: one worker, one trial after the other.

    It starts from `training`, `guide` and `protocols` as recipe `base` (null: the recipe itself)
    ships them, changed by `settings` (keys of params.yaml), and not from params.yaml itself:
    `synthgap study apply` writes there, and the stage must not run again for it.
    """

    base: str | None
    settings: dict[str, Value | tuple[int, ...]]
    study: Study

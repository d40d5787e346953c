"""Comparisons paired over seeds and over test images, where seeds draw other labelled images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from synthgap.evaluation import Interval, estimate, interval, replicates, t_interval
from synthgap.reporting.comparisons import Comparison, Kind, Verdict
from synthgap.reporting.guide_published import base_method, by_protocol
from synthgap.reporting.record_names import row_name
from synthgap.reporting.records import DIGITS, Resampling, SeriesPanel
from synthgap.reporting.series import Series

SAMPLING_BASES = {  # variant: what it is held against besides the real images alone
    "random": (),
    "low_loss": ("random",),
    "high_loss": ("random",),
}


@dataclass(frozen=True)
class PairedSeries:
    """What is held against what; `right` is nothing where it was not run."""

    kind: Kind
    statement: str
    left: Series
    right: Series | None

    @property
    def seeds(self) -> list[int]:
        """Seeds that both sides have."""
        return sorted(set(self.left.seeds) & set(self.right.seeds)) if self.right else []

    def by_seed(self) -> list[float]:
        """Points of test top-1 between the two, of each shared seed."""
        assert self.right is not None
        ours, theirs = self.left.by_seed(), self.right.by_seed()
        return [ours[seed] - theirs[seed] for seed in self.seeds]

    def by_image(self) -> np.ndarray:
        """(num_images,): difference of the shares of right answers over shared seeds, -1..1."""
        assert self.right is not None
        ours, theirs = (_shares(side, self.seeds) for side in (self.left, self.right))
        return np.asarray(ours - theirs)


def paired_comparisons(panel: SeriesPanel) -> list[dict[str, Any]]:
    """Guidance methods against pooling, and samples by their loss against real images alone."""
    held = [*_guidance_pairs(panel), *_sampling_pairs(panel)]
    ran = [one for one in held if one.seeds]
    intervals = dict(zip(map(id, ran), _over_images(ran, panel.how), strict=True))
    return [asdict(_comparison_of(one, intervals.get(id(one)), panel.how)) for one in held]


def _guidance_pairs(panel: SeriesPanel) -> Iterator[PairedSeries]:
    rows = [{**asdict(one.at), "series": one} for one in panel.series]
    for methods in by_protocol(rows).values():
        base = base_method(methods)
        right = next((row["series"] for row in methods if row["method"] == base), None)
        for row in methods:
            if row["method"] != base:
                yield PairedSeries(
                    "guidance", f"what the method gains over {base}", row["series"], right
                )


def _sampling_pairs(panel: SeriesPanel) -> Iterator[PairedSeries]:
    for one in panel.series:
        if one.at.experiment != "gap":
            continue
        gains = "what these synthetic images add to the real ones alone"
        yield PairedSeries("sampling", gains, one, panel.real)
        for variant in SAMPLING_BASES.get(one.at.variant or "", ()):
            other = panel.find(experiment="gap", set=one.at.set, variant=variant)
            if other is not None:
                statement = "what choosing by loss does, against as many random images"
                yield PairedSeries("sampling", statement, one, other)


def _over_images(held: Sequence[PairedSeries], how: Resampling) -> list[Interval]:
    """Bootstrap intervals in points; one draw of images serves all."""
    if not held:
        return []
    differences = np.stack([one.by_image() for one in held])
    drawn = 100 * replicates(differences, resamples=how.resamples, seed=how.seed)
    return [interval(row, confidence=how.confidence) for row in drawn]


def _comparison_of(pair: PairedSeries, over_images: Interval | None, how: Resampling) -> Comparison:
    at = pair.left.at
    right = row_name(asdict(pair.right.at)) if pair.right else "not run"
    found = replace(
        Comparison(pair.kind, pair.statement, row_name(asdict(at)), right, "not run"),
        ablation=at.ablation, variant=at.variant, protocol=at.protocol, method=at.method,
        init=at.init, fraction=at.fraction,
    )  # fmt: skip
    if over_images is None:
        return found
    differences = pair.by_seed()
    spread = estimate(differences, over="seeds")
    comparison = replace(
        found, difference_pp=round(spread.mean, DIGITS), std=round(spread.std, DIGITS), n=spread.n
    )
    if spread.n == 1:
        return replace(comparison, verdict="single run")
    over_seeds = t_interval(differences, confidence=how.confidence)
    return replace(
        comparison,
        verdict=_verdict(over_seeds, over_images),
        low=round(over_images.low, DIGITS),
        high=round(over_images.high, DIGITS),
        seed_low=round(over_seeds.low, DIGITS),
        seed_high=round(over_seeds.high, DIGITS),
        seeds_agree=all(each * spread.mean > 0 for each in differences),
    )


def _verdict(over_seeds: Interval, over_images: Interval) -> Verdict:
    if over_seeds.low > 0 and over_images.low > 0:
        return "holds"
    return "reversed" if over_seeds.high < 0 and over_images.high < 0 else "not resolved"


def _shares(series: Series, seeds: Sequence[int]) -> np.ndarray:
    rows = [series.seeds.index(seed) for seed in seeds]
    return np.asarray(series.correct[rows].mean(axis=0))

"""Records: one line a number, with its spread, its interval and the real labels behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from synthgap.evaluation import (
    Estimate,
    Interval,
    ScratchCurve,
    estimate,
    gap_closed,
    gap_pp,
    interval,
    replicates,
)
from synthgap.reporting.series import PROBE, TOP1, Coordinates, Series

DIGITS = 4  # of a record's numbers: a ten-thousandth of a point


@dataclass(frozen=True)
class Resampling:
    """How intervals are made."""

    resamples: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class SeriesDifference:
    """Points of test top-1 between two series, with both spreads."""

    estimate: Estimate  # over the seeds that both have
    interval: Interval  # over test images, paired
    seeds_agree: bool  # whether every shared seed gives the sign of the mean


class SeriesPanel:
    """All series of a recipe with their paired bootstrap replicates in percent.

    `real` is the real-trained student, `synthetic(scale)` the synthetic-trained one, `curve` the
    from-scratch one; each is None where its cell was not run.
    """

    def __init__(self, series: list[Series], how: Resampling) -> None:
        """Resample the test images once, for every series."""
        self.series = series
        self.how = how
        self.confidence = how.confidence
        shares = np.stack([one.shares for one in series])
        drawn = 100 * replicates(shares, resamples=how.resamples, seed=how.seed)
        self._drawn: dict[Coordinates, np.ndarray] = {
            one.at: row for one, row in zip(series, drawn, strict=True)
        }
        self._probed = _probe_replicates(series, how)
        self.real = self.find(experiment="train", set="train")
        self.curve = self._scratch_curve()

    def find(self, **place: str | float | None) -> Series | None:
        """Return the series at a place, if it was run."""
        for one in self.series:
            if all(getattr(one.at, name) == value for name, value in place.items()):
                return one
        return None

    def synthetic(self, scale: float | None) -> Series | None:
        """Return the student trained on the recipe's own synthetic set of a guidance scale."""
        if scale is None:
            return None
        return self.find(experiment="train", set=f"g{float(scale)}")

    def drawn(self, series: Series) -> np.ndarray:
        """Replicates of test top-1, (resamples,), percent."""
        return self._drawn[series.at]

    def drawn_probes(self, series: Series) -> np.ndarray | None:
        """Replicates of the linear probes' top-1 on the same images, where students were probed.

        Percent, (num_resamples,).
        """
        return self._probed.get(series.at)

    def interval(self, values: np.ndarray) -> Interval:
        """Percentile interval at the panel's confidence of values (num_resamples,)."""
        return interval(values, confidence=self.confidence)

    def difference(self, left: Series, right: Series, metric: str = TOP1) -> SeriesDifference:
        """Return left - right in points of test top-1, or of the probes' top-1 where both have."""
        ours, theirs = left.by_seed(metric), right.by_seed(metric)
        both = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
        mean = left.over_seeds(metric).mean - right.over_seeds(metric).mean
        spread = estimate(both, over="seeds") if both else Estimate(mean, 0.0, 0, "seeds")
        drawn = self._drawn if metric == TOP1 else self._probed
        return SeriesDifference(
            Estimate(mean, spread.std, spread.n, "seeds"),
            self.interval(drawn[left.at] - drawn[right.at]),
            all(each * mean > 0 for each in both),
        )

    def _scratch_curve(self) -> tuple[ScratchCurve, np.ndarray] | None:
        """Build the from-scratch curve: estimate and replicates; the real student is its top."""
        points = {
            one.real_labels["student"]: one
            for one in [self.real, *self.series]
            if one is not None and (one is self.real or _from_scratch(one))
        }
        if len(points) < 2:
            return None
        ordered = [points[labels] for labels in sorted(points, key=lambda count: count or 0)]
        labels = np.asarray([one.real_labels["student"] for one in ordered], dtype=np.float64)
        means = np.asarray([one.over_seeds(TOP1).mean for one in ordered])
        return ScratchCurve(labels, means), np.stack([self.drawn(one) for one in ordered])


def _probe_replicates(series: list[Series], how: Resampling) -> dict[Coordinates, np.ndarray]:
    shares = {one.at: one.probe_shares for one in series}
    there = {at: values for at, values in shares.items() if values is not None}
    if not there:
        return {}
    drawn = replicates(np.stack(list(there.values())), resamples=how.resamples, seed=how.seed)
    return dict(zip(there, 100 * drawn, strict=True))


def records(panel: SeriesPanel) -> list[dict[str, Any]]:
    """Every record of a recipe: estimates over seeds, each run's over epochs, derived numbers."""
    found = []
    for series in panel.series:
        for metric in series.metrics:
            drawn = {TOP1: panel.drawn(series), PROBE: panel.drawn_probes(series)}.get(metric)
            extra = {} if drawn is None else asdict(panel.interval(drawn))
            found.append(_record(series, metric, asdict(series.over_seeds(metric)) | extra))
        for run in series.runs:
            one = asdict(series.of_run(run, TOP1)) | {"seed": run["seed"]}
            found.append(_record(series, TOP1, one))
        found.extend(
            _record(series, metric, values) for metric, values in _derived_numbers(panel, series)
        )
    return found


def _record(series: Series, metric: str, values: Mapping[str, Any]) -> dict[str, Any]:
    empty = {"mean": None, "std": None, "n": None, "over": None, "low": None, "high": None}
    numbers = {
        name: round(value, DIGITS) if isinstance(value, float) else value
        for name, value in {**empty, "seed": None, "note": None, **values}.items()
    }
    return {
        **asdict(series.at),
        "metric": metric,
        "num_real_images": series.runs[0].get("num_real_images"),
        "real_labels": series.labels_behind(metric),
        **numbers,
    }


def _from_scratch(series: Series) -> bool:
    return series.at.arm == "scratch" and series.at.experiment == "reduce"


def _derived_numbers(panel: SeriesPanel, series: Series) -> Iterator[tuple[str, dict[str, Any]]]:
    if panel.real is None:
        return
    gap = panel.difference(panel.real, series)
    yield "gap_pp", {**asdict(gap.estimate), **asdict(gap.interval)}
    donor = panel.synthetic(series.at.guidance_scale)
    if donor is not None:
        yield "gap_closed", _gap_closed(panel, series, donor, panel.real)
    if panel.curve is not None and series is not panel.real and not _from_scratch(series):
        yield "label_equivalent", _label_equivalent(panel, series, panel.curve)


def _gap_closed(panel: SeriesPanel, series: Series, donor: Series, real: Series) -> dict[str, Any]:
    means = [one.over_seeds(TOP1).mean for one in (series, donor, real)]
    mean = float(gap_closed(means[0], synthetic=means[1], real=means[2]))
    if np.isnan(mean):
        return {"note": "undefined: real and synthetic score the same"}
    by_seed = [one.by_seed() for one in (series, donor, real)]
    shared = sorted(set.intersection(*(set(one) for one in by_seed)))
    each = [
        float(gap_closed(by_seed[0][seed], synthetic=by_seed[1][seed], real=by_seed[2][seed]))
        for seed in shared
    ]
    result: dict[str, Any] = {"mean": mean, "n": len(each), "over": "seeds"}
    if each and not np.isnan(each).any():
        result["std"] = estimate(each, over="seeds").std
    drawn = [panel.drawn(one) for one in (series, donor, real)]
    ratio = gap_closed(drawn[0], synthetic=drawn[1], real=drawn[2])
    if np.isnan(ratio).any() or not panel.interval(gap_pp(drawn[2], drawn[1])).excludes_zero:
        return {**result, "note": "no interval: real - synthetic is not resolved from zero"}
    return {**result, **asdict(panel.interval(ratio))}


def _label_equivalent(
    panel: SeriesPanel, series: Series, scratch: tuple[ScratchCurve, np.ndarray]
) -> dict[str, Any]:
    curve, drawn = scratch
    point = curve.equivalent(series.over_seeds(TOP1).mean)
    notes = [] if curve.monotone else ["the from-scratch curve falls somewhere: first crossing"]
    result: dict[str, Any] = {"n": len(series.runs), "over": "seeds"}
    if point.labels is None:
        notes.append("outside the measured range: a bound")
        result |= {"low": point.above, "high": point.below}
    else:
        logs = ScratchCurve(curve.labels, drawn).log2_labels(panel.drawn(series))
        limits = panel.interval(logs)
        low, high = (
            None if np.isinf(one) else float(2.0**one) for one in (limits.low, limits.high)
        )
        if low is None or high is None:
            notes.append("the interval leaves the measured range")
        result |= {"mean": point.labels, "low": low, "high": high}
    return {**result, "note": "; ".join(notes) or None}

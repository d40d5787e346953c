"""Paired comparisons: the orderings that the papers lead one to expect, and what freezing costs.

Nothing here is asserted: each comparison states its difference, its interval and what follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from synthgap.reporting.record_names import (
    CONTROL_OF,
    base_setting,
    is_plain,
    row_name,
    setting_records,
)
from synthgap.reporting.records import DIGITS, SeriesDifference, SeriesPanel
from synthgap.reporting.series import PROBE, TOP1, Series

Kind = Literal["ordering", "control", "prefix", "ablation", "setting", "guidance", "sampling"]
Verdict = Literal["holds", "reversed", "not resolved", "single run", "not run"]
GUIDANCE_ORDER = (2.0, 7.5)  # FITYMI, Table 1: 2.0 above 7.5 for every prompt


@dataclass(frozen=True)
class Comparison:
    """`left` - `right` in points of `metric`, paired over test images.

    It holds where the interval lies above 0 and no seed contradicts it; the interval alone does
    not know how much seeds differ.
    """

    kind: Kind
    statement: str
    left: str
    right: str
    verdict: Verdict
    depth: int | None = None
    fraction: float | None = None
    difference_pp: float | None = None
    std: float | None = None
    n: int | None = None
    low: float | None = None
    high: float | None = None
    seeds_agree: bool | None = None
    ablation: str | None = None
    variant: str | None = None
    metric: str = TOP1
    protocol: str | None = None
    method: str | None = None
    init: str | None = None
    seed_low: float | None = None  # of the interval over seeds, where that is asked for too
    seed_high: float | None = None


def comparisons(panel: SeriesPanel) -> list[dict[str, Any]]:
    """Every comparison of a recipe, orderings first."""
    found = [*_orderings(panel), *_controls(panel), *_prefixes(panel), *_ablations(panel)]
    found += _settings(panel)
    return [asdict(one) for one in found]


def _orderings(panel: SeriesPanel) -> Iterator[Comparison]:
    scales = sorted(
        one.at.guidance_scale
        for one in panel.series
        if one.at.experiment == "train"
        and one.at.guidance_scale is not None
        and is_plain(one.at.set)
    )
    if not scales:
        yield _compare(panel, "ordering", "real above synthetic", panel.real, None)
    for scale in scales:
        statement = f"real above synthetic at guidance {scale:g}"
        yield _compare(panel, "ordering", statement, panel.real, panel.synthetic(scale))
    low, high = GUIDANCE_ORDER
    statement = f"guidance {low:g} above {high:g}"
    yield _compare(panel, "ordering", statement, panel.synthetic(low), panel.synthetic(high))


def _controls(panel: SeriesPanel) -> Iterator[Comparison]:
    for one in panel.series:
        if one.at.experiment != "transfer" or one.at.direction not in CONTROL_OF:
            continue
        control = CONTROL_OF[one.at.direction]
        same = panel.find(experiment="control", direction=control, depth=one.at.depth)
        if same is None:
            continue
        if one.at.direction == "synthetic->real":
            statement = "what a synthetic donor costs, against a real one"
            yield _compare(panel, "control", statement, same, one)
        else:
            statement = "what a real donor gains, against a synthetic one"
            yield _compare(panel, "control", statement, one, same)


def _prefixes(panel: SeriesPanel) -> Iterator[Comparison]:
    for one in panel.series:
        if one.at.experiment == "ablate" or one.at.arm not in {"prefix", "finetune"}:
            continue
        scratch = panel.find(experiment="reduce", arm="scratch", fraction=one.at.fraction)
        if scratch is None and one.at.fraction == 1:
            scratch = panel.real
        if scratch is not None:
            statement = "what a synthetic donor gains, against training from scratch"
            yield _compare(panel, "prefix", statement, one, scratch)


def _ablations(panel: SeriesPanel) -> Iterator[Comparison]:
    for one in panel.series:
        if one.at.experiment == "ablate":
            base = _ablation_base(panel, one)
            if base is not one:
                statement = "what the change does, against the student without it"
                yield _compare(panel, "ablation", statement, one, base)


def _settings(panel: SeriesPanel) -> Iterator[Comparison]:
    """Each setting of the generator against the set that the other experiments use."""
    students = {
        row["set"]: row for row in setting_records([asdict(one.at) for one in panel.series])
    }
    base = base_setting([asdict(one.at) for one in panel.series])
    if base is None:
        return
    right = panel.find(**_series_place(base))
    for row in students.values():
        left = panel.find(**_series_place(row))
        if left is None or right is None or left is right:
            continue
        statement = "what the setting does, against the recipe's own"
        found = _compare(panel, "setting", statement, left, right)
        yield found
        if left.probed is not None and right.probed is not None:
            probes = panel.difference(left, right, PROBE)
            yield _with_difference(replace(found, metric=PROBE), probes)


def _series_place(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("experiment", "set", "fraction")}


def _ablation_base(panel: SeriesPanel, changed: Series) -> Series | None:
    """The student that an ablation's row differs from by its change alone."""
    at = changed.at
    if at.arm is not None:
        cut = {"arm": at.arm, "depth": at.depth, "fraction": at.fraction}
        drawn = panel.find(experiment="ablate", variant="random", **cut)
        return drawn or panel.find(experiment="reduce", **cut)
    if at.direction is not None:
        return panel.find(experiment="transfer", direction="synthetic->real", depth=at.depth)
    parent = panel.find(experiment="train", set=at.set.partition("-")[0])
    return parent or panel.synthetic(at.guidance_scale)


def _compare(
    panel: SeriesPanel,
    kind: Kind,
    statement: str,
    left: Series | None,
    right: Series | None,
) -> Comparison:
    ours, theirs = (row_name(asdict(one.at)) if one else "not run" for one in (left, right))
    found = Comparison(kind, statement, ours, theirs, "not run")
    if left is not None:
        found = replace(found, ablation=left.at.ablation, variant=left.at.variant)
    if left is None or right is None:
        return found
    placed = replace(found, depth=left.at.depth, fraction=left.at.fraction)
    return _with_difference(placed, panel.difference(left, right))


def _with_difference(comparison: Comparison, found: SeriesDifference) -> Comparison:
    """Say by how much the two differ, and what follows."""
    verdict: Verdict = "not resolved"
    if found.interval.excludes_zero and found.seeds_agree:
        verdict = "holds" if found.interval.low > 0 else "reversed"
    return replace(
        comparison,
        verdict=verdict,
        difference_pp=round(found.estimate.mean, DIGITS),
        std=round(found.estimate.std, DIGITS),
        n=found.estimate.n,
        low=round(found.interval.low, DIGITS),
        high=round(found.interval.high, DIGITS),
        seeds_agree=found.seeds_agree,
    )

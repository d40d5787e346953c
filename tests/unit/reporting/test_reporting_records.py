from dataclasses import asdict

import numpy as np
import pytest

from synthgap.reporting.comparisons import comparisons
from synthgap.reporting.record_names import companion, find_one, select, top1
from synthgap.reporting.records import Resampling, SeriesPanel, records

FIELDS = {
    "recipe", "experiment", "student", "source", "direction", "depth", "fraction",
    "guidance_scale", "metric", "mean", "std", "n", "over", "low", "high", "real_labels", "arm",
    "set", "donor_set", "seed", "note", "ablation", "variant", "generator", "scheme", "steps",
    "num_images", "protocol", "method", "init", "num_real_images",
}  # fmt: skip
HOW = Resampling(resamples=300, confidence=0.95, seed=1)


@pytest.fixture(scope="module")
def panel(series):
    return SeriesPanel(series, HOW)


@pytest.fixture(scope="module")
def rows(panel):
    return records(panel)


def test_every_record_has_every_field_and_its_real_labels(rows):
    assert all(set(row) == FIELDS for row in rows)
    for row in rows:
        own = {"probe"} if row["metric"] == "probe/top1" else set()
        own |= {"reference"} if row["experiment"] == "guide" else set()
        assert set(row["real_labels"]) == {"generator", "donor", "student"} | own


def test_every_series_has_one_top1_over_seeds_and_one_of_each_run(rows, series):
    assert len(top1(rows)) == len(series)
    runs = select(rows, metric="test/top1", over="epochs")
    assert len(runs) == sum(len(one.runs) for one in series)
    assert all(row["seed"] is not None for row in runs)


def test_intervals_hold_the_mean(rows):
    assert all(row["low"] <= row["mean"] <= row["high"] for row in top1(rows))


def test_the_real_student_has_no_gap(rows):
    found = find_one(rows, experiment="train", set="train", metric="gap_pp")
    assert (found["mean"], found["std"], found["low"], found["high"]) == (0, 0, 0, 0)


def test_the_synthetic_student_closes_nothing(rows):
    for name in ("g1.0", "g2.0", "g7.5"):
        found = find_one(rows, experiment="train", set=name, metric="gap_closed")
        assert (found["mean"], found["low"], found["high"]) == (0, 0, 0)


def test_closing_is_measured_against_the_same_guidance_scale(rows):
    real, donor = (find_one(top1(rows), set=name, experiment="train") for name in ("train", "g2.0"))
    moved = find_one(top1(rows), experiment="transfer", direction="synthetic->real", depth=3)
    expected = (moved["mean"] - donor["mean"]) / (real["mean"] - donor["mean"])
    assert companion(rows, moved, "gap_closed")["mean"] == pytest.approx(expected, abs=1e-3)


def test_what_holds_no_synthetic_set_has_no_share_of_its_gap(rows):
    closed = select(rows, metric="gap_closed")
    assert closed
    assert all(row["guidance_scale"] is not None for row in closed)


def test_label_equivalents_are_numbers_or_bounds(rows):
    found = select(rows, metric="label_equivalent")
    bounds = [row for row in found if row["mean"] is None]
    assert bounds
    assert len(bounds) < len(found)
    for row in bounds:
        assert (row["low"] is None) != (row["high"] is None)
        assert "bound" in row["note"]
    for row in found:
        if None not in (row["mean"], row["low"], row["high"]):
            assert row["low"] <= row["mean"] <= row["high"]


def test_without_the_real_student_nothing_is_derived(series):
    rest = [each for each in series if each.at.set != "train"]
    assert {row["metric"] for row in records(SeriesPanel(rest, HOW))}.isdisjoint(
        {"gap_pp", "gap_closed", "label_equivalent"}
    )


def test_an_unresolved_gap_has_no_interval_but_says_why(series):
    rng = np.random.default_rng(0)
    real, donor = (
        next(each for each in series if each.at.set == name and each.at.experiment == "train")
        for name in ("train", "g2.0")
    )
    noise = real.correct.copy()
    noise[:, rng.integers(0, noise.shape[1], 2)] = 0.0
    close = _with_top1(donor, noise, [100 * float(row.mean()) for row in noise])
    found = find_one(records(SeriesPanel([real, close], HOW)), metric="gap_closed")
    assert found["low"] is None
    assert "not resolved" in found["note"]


def test_differences_are_paired_and_signed(panel):
    found = comparisons(panel)
    ordering = select(found, kind="ordering")
    assert [row["verdict"] for row in ordering] == ["holds"] * 4
    assert ordering[-1]["statement"] == "guidance 2 above 7.5"
    for row in found:
        unclear = row["low"] <= 0 <= row["high"] or not row["seeds_agree"]
        holds = {"holds": row["low"] > 0, "reversed": row["high"] < 0}
        assert holds.get(row["verdict"], unclear)


def test_swapped_sides_reverse_a_difference(panel):
    there = panel.difference(panel.real, panel.synthetic(7.5))
    back = panel.difference(panel.synthetic(7.5), panel.real)
    assert back.estimate.mean == -there.estimate.mean
    mirrored = {"low": -there.interval.high, "high": -there.interval.low}
    assert asdict(back.interval) == pytest.approx(mirrored)


def _with_top1(series, correct, means):
    runs = tuple(
        {**run, "last": {"test/top1": {"mean": mean, "std": 0.0, "n": 2, "over": "epochs"}}}
        for run, mean in zip(series.runs, means, strict=True)
    )
    return type(series)(series.at, runs, correct)


def test_a_contradicted_ordering_is_said_so(series):
    flipped = [
        _with_top1(each, 1 - each.correct, [2.0] * 3) if each.at.set == "train" else each
        for each in series
        if each.at.experiment == "train"
    ]
    found = select(comparisons(SeriesPanel(flipped, HOW)), kind="ordering")
    assert [row["verdict"] for row in found] == ["reversed", "reversed", "reversed", "holds"]


def test_seeds_that_disagree_leave_an_ordering_open(series):
    mixed = [
        _with_top1(each, each.correct, [99.0, 99.0, 79.0]) if each.at.set == "train" else each
        for each in series
        if each.at.experiment == "train"
    ]
    found = find_one(
        comparisons(SeriesPanel(mixed, HOW)), statement="real above synthetic at guidance 7.5"
    )
    assert found["low"] > 0
    assert found["verdict"] == "not resolved"
    assert not found["seeds_agree"]


def test_what_was_not_run_is_said_so(series):
    only = [each for each in series if each.at.set == "train" and each.at.experiment == "train"]
    assert {row["verdict"] for row in comparisons(SeriesPanel(only, HOW))} == {"not run"}


def test_every_transfer_beside_a_control_is_compared_with_it(panel, plan):
    found = select(comparisons(panel), kind="control")
    assert len(found) == 2 * len(plan.grid.control_depths)
    assert {row["depth"] for row in found} == set(plan.grid.control_depths)

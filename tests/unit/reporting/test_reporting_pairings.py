"""Comparisons over seeds and over test images: made from shared seeds, decided by both."""

from dataclasses import replace

import numpy as np
import pytest
from made_up_guide import LOW_SHOT, SEEDS, ZERO_SHOT

from synthgap.evaluation import t_interval
from synthgap.reporting.record_names import find_one, select
from synthgap.reporting.records import Resampling, SeriesPanel
from synthgap.reporting.seed_comparisons import paired_comparisons

HOW = Resampling(resamples=200, confidence=0.95, seed=1)


@pytest.fixture(scope="module")
def guided(series):
    return [each for each in series if each.at.experiment == "guide"]


@pytest.fixture(scope="module")
def found(guided):
    return paired_comparisons(SeriesPanel(guided, HOW))


def _of(series, method):
    low = [each for each in series if each.at.protocol == "low-shot"]
    return next(each for each in low if each.at.method == method)


def _changed(series, method, change):
    """The series with one method's seeds given by `change` (seeds, images) -> the same."""
    target = _of(series, method)
    correct = change(target.correct.copy())
    runs = tuple(
        {**run, "last": {"test/top1": {**run["last"]["test/top1"], "mean": 100 * row.mean()}}}
        for run, row in zip(target.runs, correct, strict=True)
    )
    new = replace(target, runs=runs, correct=correct)
    return [new if each is target else each for each in series]


def _held(series, method):
    return find_one(
        paired_comparisons(SeriesPanel(series, HOW)), protocol="low-shot", method=method
    )


def test_every_method_is_held_against_its_protocols_base(found):
    low, zero = (select(found, protocol=name) for name in ("low-shot", "zero-shot"))
    assert {row["method"] for row in low} == set(LOW_SHOT) - {"pooled"}
    assert {row["right"] for row in low} == {"low-shot: pooling (augmentation)"}
    assert {row["method"] for row in zero} == set(ZERO_SHOT) - {"synthetic"}
    assert {row["right"] for row in zero} == {"zero-shot: synthetic images alone"}
    assert {row["init"] for row in found} == {"random"}


def test_both_intervals_are_those_of_the_paired_differences(found, guided):
    row = find_one(found, protocol="low-shot", method="rg")
    ours, base = _of(guided, "rg").by_seed(), _of(guided, "pooled").by_seed()
    differences = [ours[seed] - base[seed] for seed in SEEDS]
    wanted = t_interval(differences, confidence=0.95)
    assert row["difference_pp"] == pytest.approx(np.mean(differences), abs=1e-3)
    assert [row["seed_low"], row["seed_high"]] == pytest.approx([wanted.low, wanted.high], abs=1e-3)
    assert row["low"] < row["difference_pp"] < row["high"]
    assert (row["n"], row["verdict"]) == (5, "holds")


def test_a_single_run_has_a_difference_of_its_own_seed_and_no_interval(found, guided):
    row = find_one(found, protocol="low-shot", method="adda")
    own = _of(guided, "adda").by_seed()[0] - _of(guided, "pooled").by_seed()[0]
    assert row["difference_pp"] == pytest.approx(own, abs=1e-3)
    assert (row["verdict"], row["n"]) == ("single run", 1)
    assert {row[key] for key in ("low", "high", "seed_low", "seed_high")} == {None}


def test_images_alone_decide_nothing_where_seeds_disagree(guided):
    def change(correct):
        correct[:3] = 1.0  # far above pooling
        correct[3:] = np.arange(correct.shape[1]) % 2  # far below
        return correct

    row = _held(_changed(guided, "rg", change), "rg")
    assert row["seed_low"] < 0 < row["seed_high"]
    assert row["verdict"] == "not resolved"


def test_seeds_alone_decide_nothing_where_few_images_differ(guided):
    """Every seed gains the same single image: certain over seeds, not over images."""
    base = _of(guided, "pooled").correct

    def change(correct):
        correct[:] = base
        missed = int(np.argmin(base.sum(axis=0)))
        correct[:, missed] = 1.0
        return correct

    row = _held(_changed(guided, "rg", change), "rg")
    assert row["seed_low"] >= 0
    assert row["low"] == 0
    assert row["verdict"] == "not resolved"


def test_what_falls_below_is_reversed(guided):
    row = _held(_changed(guided, "rg", lambda correct: correct * 0), "rg")
    assert row["verdict"] == "reversed"
    assert row["high"] < 0 > row["seed_high"]


def test_without_the_base_nothing_is_held(guided):
    rest = [each for each in guided if each.at.method != "pooled"]
    rows = select(paired_comparisons(SeriesPanel(rest, HOW)), protocol="low-shot")
    assert {(row["right"], row["verdict"]) for row in rows} == {("not run", "not run")}


def test_samples_are_held_against_real_images_alone_and_random_ones(summary):
    rows = select(summary.comparisons, kind="sampling", variant="low_loss")
    assert [row["right"].removeprefix("trained on ") for row in rows] == [
        *("real", "real and synthetic, guidance 2, at random"),
        *("real", "real and synthetic, guidance 7.5, at random"),
    ]
    assert {row["n"] for row in rows} == {2}  # of the real student's three seeds, the shared ones
    assert not select(summary.comparisons, kind="sampling", variant="random", verdict="not run")


def test_nothing_guided_and_nothing_sampled_is_nothing_compared(series):
    rest = [each for each in series if each.at.experiment not in {"guide", "gap"}]
    assert paired_comparisons(SeriesPanel(rest, HOW)) == []

"""The verdict: paired over seeds, once, and nothing else in a study hears of `test`."""

import pytest
from told_rows import LAMBDA, World, goodness, small_plan

from synthgap.errors import WorkError
from synthgap.evaluation.intervals import t_interval
from synthgap.jobs import Artifacts
from synthgap.studies.trials.verdict import compared, verdict

BETTER = {LAMBDA: 0.9}


def won(plan, **values):
    return {"trial": 9, "tuned": {**plan.default, **values}}


class Shaky(World):
    """Every third seed is less kind to changed values."""

    def __call__(self, values, *, seed, share):
        for reading in super().__call__(values, seed=seed, share=share):
            metrics = {name: v - (seed % 3) * values[LAMBDA] for name, v in reading.metrics.items()}
            yield type(reading)(reading.epoch, reading.num_steps, metrics, reading.facts)


def test_winner_and_default_meet_at_every_seed_with_an_interval_of_their_differences():
    plan, world = small_plan(), Shaky(scored="test")
    winner = won(plan, **BETTER)
    found = compared(plan, winner, world, num_images=597)
    assert world.calls == [
        *((winner["tuned"], seed) for seed in (20, 21, 22)),
        *((plan.default, seed) for seed in (20, 21, 22)),
    ]
    pairs = [ours - other for ours, other in zip(found["winner"], found["default"], strict=True)]
    expected = t_interval(pairs, confidence=0.95)
    assert found["difference"]["mean"] == pytest.approx(sum(pairs) / 3)
    assert (found["difference"]["low"], found["difference"]["high"]) == (
        expected.low,
        expected.high,
    )
    assert found["difference"]["low"] < found["difference"]["mean"] < found["difference"]["high"]
    assert (found["seeds"], found["num_test_images"]) == ([20, 21, 22], 597)
    assert found["winner_top1"]["n"] == 3
    assert found["winner_top1"]["mean"] == pytest.approx(sum(found["winner"]) / 3)


def test_the_last_reading_counts():
    plan = small_plan()
    found = compared(plan, won(plan, **BETTER), World(scored="test"), num_images=1)
    assert found["winner"][0] == pytest.approx(goodness({**plan.default, **BETTER}))


def test_a_default_that_has_won_is_trained_once_and_differs_by_nothing():
    plan, world = small_plan(), World(scored="test")
    found = compared(plan, {"trial": "default", "tuned": plan.default}, world, num_images=1)
    assert len(world.calls) == 3
    assert found["winner"] == found["default"]
    assert found["difference"]["mean"] == 0
    assert found["difference"]["low"] is found["difference"]["high"] is None


def test_a_study_is_judged_once(tmp_path):
    plan = small_plan()
    artifacts = Artifacts(tmp_path, "digits")
    with pytest.raises(WorkError, match=r"study tune: has its verdict over seeds \[20, 21\]"):
        verdict(plan, won(plan), artifacts, existing={"seeds": [20, 21]})


def test_val_is_no_score_here():
    with pytest.raises(KeyError):
        compared(small_plan(), won(small_plan()), World(scored="val"), num_images=1)

"""The finals: who takes part, what is repeated after an interruption, and who wins."""

import pytest
from told_rows import LAMBDA, World, goodness, row, rows_of, small_plan

from synthgap.studies.trials.finals import candidates, final_results, final_round, winner


def played(plan, rows, world=None):
    finals = list(final_round(plan, rows, world or World()))
    table = final_results(plan, rows, finals)
    return finals, table, winner(plan, rows, table)


def test_the_best_and_the_default_take_part_once_each():
    plan = small_plan()
    rows = [row(plan, slot, top1=top1) for slot, top1 in enumerate([90.0, 95.0, 91.0, 97.0])]
    assert [slot for slot, _ in candidates(plan, rows)] == [3, 1, 0]
    rows = [row(plan, slot, top1=top1) for slot, top1 in enumerate([96.0, 95.0, 91.0, 97.0])]
    assert [slot for slot, _ in candidates(plan, rows)] == [3, 0]


def test_every_candidate_learns_with_every_final_seed_at_the_full_share():
    plan, world = small_plan(), World()
    finals, _, _ = played(plan, rows_of(plan), world)
    assert len(world.calls) == len(finals) == 3 * 2
    assert [one["seed"] for one in finals] == [10, 11] * 3
    assert {one["kind"] for one in finals} == {"final"}
    assert finals[0]["name"] == f"tune t{finals[0]['trial']:02d} s10"
    assert finals[0]["last"]["val/top1"]["n"] == 1
    assert finals[0]["num_steps"] == 30
    assert len({one["digest"] for one in finals}) == 6


def test_finished_ones_are_not_repeated_and_the_end_is_the_same():
    plan, rows, world = small_plan(), rows_of(small_plan()), World()
    whole = list(final_round(plan, rows, World()))
    rest = list(final_round(plan, rows, world, done=whole[:4]))
    assert len(world.calls) == 2
    assert [*whole[:4], *rest] == whole


def test_the_best_mean_wins_and_not_the_best_trial():
    plan = small_plan()
    lucky = row(plan, 9, tuned={**plan.default, LAMBDA: 0.1}, top1=99.0)
    steady = row(plan, 10, tuned={**plan.default, LAMBDA: 0.9}, top1=95.0)
    rows = [row(plan, 0), lucky, steady]
    _, table, first = played(plan, rows)
    assert [one["trial"] for one in table] == [9, 10, "default"]
    assert first == {"trial": 10, "tuned": steady["tuned"]}
    assert table[1]["val"]["mean"] == pytest.approx(goodness(steady["tuned"]) + 0.05)
    assert (table[1]["val"]["n"], table[1]["val"]["over"]) == (2, "seeds")


def test_the_default_wins_a_draw():
    plan = small_plan()
    twin = row(plan, 9, tuned=dict(plan.default), top1=99.0)
    assert played(plan, [row(plan, 0), twin])[2]["trial"] == "default"


def test_less_is_better_of_a_loss():
    plan = small_plan(objectives=("val/loss",), watched=())
    rows = [row(plan, slot, values={"val/loss": loss}) for slot, loss in ((0, 1.0), (9, 0.5))]
    finals = [
        {"trial": slot or "default", "tuned": {}, "metric": "val/loss", "score": {"mean": mean}}
        for slot, mean in ((9, 0.6), (0, 0.9))
    ]
    assert next(slot for slot, _ in candidates(plan, rows)) == 9
    assert winner(plan, rows, finals)["trial"] == 9


def test_one_that_cannot_be_trained_says_so_and_cannot_win():
    plan = small_plan()
    rows = rows_of(plan)
    finals, table, first = played(plan, rows, World(fails=(11,)))
    failed = [one for one in finals if one["state"] == "failed"]
    assert len(failed) == 3
    assert failed[0]["reason"] == "loss is nan"
    assert len(failed[0]["epochs"]) == 1
    assert all(one["score"] is None for one in table)
    assert first["trial"] == "default"


def test_a_default_out_of_bounds_wins_only_alone():
    plan = small_plan()
    better = row(plan, 0, feasible=False, tuned={**plan.default, LAMBDA: 0.95})
    worse = row(plan, 9, tuned={**plan.default, LAMBDA: 0.05})
    assert played(plan, [better, worse])[2]["trial"] == 9
    assert played(plan, [better])[2] == {"trial": "default", "tuned": plan.default}


def test_there_is_no_winner_before_the_finals():
    assert winner(small_plan(), rows_of(small_plan()), []) is None


def test_an_interrupted_one_is_told_as_killed_and_has_no_row():
    plan, events = small_plan(), []

    def attempt(values, *, seed, share):
        yield from list(World()(values, seed=seed, share=share))[:1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(final_round(plan, rows_of(plan), attempt, log_event=events.append))
    assert [event["event"] for event in events] == ["start", "epoch", "end"]
    assert events[-1]["run"]["state"] == "killed"

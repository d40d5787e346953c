"""A study's record: what its trials say together, equal for equal trials."""

import json
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState
from told_rows import AUGMENTATION, LAMBDA, SCALE, plan_of, row, rows_of

from synthgap.params.studies import Bound
from synthgap.studies.trials import record
from synthgap.studies.trials.effects import importances
from synthgap.studies.trials.record import run_record, study_record, trial_rows
from synthgap.studies.trials.rows import event_logger, head

NUM_VAL = 300
ENDED = {
    "complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL,
    "killed": TrialState.FAIL,
}  # fmt: skip
DISTANCE = "guide.pg.distance"


def recorded(plan, rows, **given):
    return study_record(plan, rows, given.get("finals", []), given.get("verdict"), num_val=NUM_VAL)


def asked(*rows):
    """Trials as optuna has them, in the order of their beginning; None waits."""
    return [
        SimpleNamespace(
            number=number,
            state=ENDED[one["state"]] if one else TrialState.WAITING,
            user_attrs={"slot": one["trial"], "told": one} if one else {"slot": 9},
        )
        for number, one in enumerate(rows)
    ]


def test_rows_come_by_slot_without_those_that_wait_run_or_were_given_back():
    plan = plan_of()
    given_back = {**row(plan, 1), "state": "killed"}
    other = {**row(plan, 3), "study": "joint"}
    found = trial_rows(plan, asked(row(plan, 2), None, row(plan, 0), given_back, other))
    assert [one["trial"] for one in found] == [0, 2]
    (running,) = asked(row(plan, 5))
    running.state = TrialState.RUNNING  # its row is kept, its end is not
    assert trial_rows(plan, [running]) == []


def test_a_slot_counts_once():
    plan = plan_of()
    first, again = row(plan, 1), row(plan, 1, top1=99.0)
    assert trial_rows(plan, asked(first, again)) == [first]


def test_a_heads_digest_is_of_all_that_determines_the_trial():
    plan, seeds = plan_of(), (0,)
    values = plan.default
    others = [
        head(plan, 1, "search", values, seeds=seeds),
        head(plan, 0, "default", values, seeds=(1,)),
        head(plan, 0, "default", {**values, LAMBDA: 0.9}, seeds=seeds),
        head(plan_of(trials=30), 0, "default", values, seeds=seeds),
    ]
    one = head(plan, 0, "default", values, seeds=seeds)
    assert one == head(plan, 0, "default", values, seeds=seeds)
    assert len({one["digest"], *(other["digest"] for other in others)}) == 5
    assert (one["name"], one["set"], one["guidance_scale"]) == ("tune t00", "g2.0", 2.0)


def test_values_that_contradict_each_other_name_no_set():
    plan = plan_of()
    assert head(plan, 9, "search", {SCALE: "much"}, seeds=(0,))["set"] is None


def test_counts_steps_and_labels_are_of_all_trials():
    plan = plan_of()
    rows = rows_of(plan)
    study = recorded(plan, rows[:-2])
    assert study["counts"] == {"complete": 15, "pruned": 3, "failed": 0, "open": 2}
    assert study["num_steps"] == sum(one["num_steps"] for one in rows[:-2])
    assert study["full_steps"] == 18 * 144
    assert study["labels"] == {
        "objective": NUM_VAL, "generator": 700, "reference": 0, "student": 50,
    }  # fmt: skip
    assert not study["data_free"]


def test_label_free_objectives_and_constraints_spend_no_label_of_val():
    free = {"generator": 0, "reference": 0, "student": 0}
    asks = {"objectives": ("agreement",), "watched": ("val/top1",), "pruner": "none"}
    for changed, spent in (
        ({}, 0),
        ({"pruner": "median"}, 0),  # which compares the objective
        ({"constraints": {"val/ece": Bound(None, 0.1)}}, NUM_VAL),
    ):
        plan = plan_of(**{**asks, **changed})
        values = {"agreement": 0.5, "val/top1": 90.0}
        study = recorded(plan, [row(plan, 0, values=values, last={}, real_labels=free)])
        assert study["labels"]["objective"] == spent
        assert study["data_free"] == (spent == 0)
    taught = recorded(plan_of(**asks), [row(plan_of(**asks), 0, values=values, last={})])
    assert (taught["labels"]["objective"], taught["data_free"]) == (
        0,
        False,
    )  # its generator is not


def test_labels_that_nobody_knows_stay_unknown():
    plan = plan_of()
    unknown = {"generator": None, "reference": 0, "student": 50}
    study = recorded(plan, [row(plan, 0), row(plan, 1, real_labels=unknown)])
    assert study["labels"]["generator"] is None
    assert not study["data_free"]
    unbegun = row(plan, 1, real_labels=unknown, num_images=None)
    assert recorded(plan, [row(plan, 0), unbegun])["labels"]["generator"] == 700


def test_the_best_is_complete_and_feasible_and_of_equals_the_earlier():
    plan = plan_of()
    rows = [
        row(plan, 0, top1=90.0),
        row(plan, 1, top1=95.0, feasible=False),
        row(plan, 2, top1=99.0, state="pruned"),
        row(plan, 3, top1=92.0),
        row(plan, 4, top1=92.0),
    ]
    study = recorded(plan, rows)
    assert (study["best"], study["pareto"]) == (3, [])


def test_several_objectives_have_a_front_and_no_best():
    plan = plan_of(objectives=("val/top1", "real_labels"), watched=(), pruner="none")
    rows = [
        row(plan, slot, values={"val/top1": top1, "real_labels": labels})
        for slot, (top1, labels) in enumerate([(90, 50), (92, 80), (89, 60), (92, 90), (80, 10)])
    ]
    study = recorded(plan, rows)
    assert (study["best"], study["pareto"]) == (None, [0, 1, 4])
    assert [one["direction"] for one in study["objectives"]] == ["maximize", "minimize"]


def test_the_grid_tells_each_alone_their_sum_and_both_together():
    plan = plan_of()
    grid = recorded(plan, rows_of(plan))["grid"]
    scales, augmentations = grid["values"]
    assert grid["keys"] == [SCALE, AUGMENTATION]
    default = grid["cells"][scales.index(2.0)][augmentations.index(plan.default[AUGMENTATION])]
    assert grid["cells"][grid["default"][0]][grid["default"][1]] == default
    gain = {"none": 0.0, "pytorch": 2.0, "dino": 1.0}
    best = 2.0 - gain[plan.default[AUGMENTATION]]
    assert grid["alone"][AUGMENTATION]["value"] == "pytorch"
    assert grid["alone"][AUGMENTATION]["gain"] == pytest.approx(best)
    assert grid["alone"][SCALE]["value"] == 1.0
    gains = sum(one["gain"] for one in grid["alone"].values())
    assert grid["predicted"] == pytest.approx(default + gains)
    assert grid["joint"]["values"] == [1.0, "pytorch"]
    assert grid["joint"]["score"] == pytest.approx(default + best + 0.25)  # they clash
    assert all(one is None for line in grid["stds"] for one in line)  # of a single seed


def test_missing_cells_of_the_grid_are_null_and_promise_nothing():
    plan = plan_of()
    grid = recorded(plan, [row(plan, 0, state="failed", values={}), row(plan, 3)])["grid"]
    assert sum(one is not None for line in grid["cells"] for one in line) == 1
    assert grid["predicted"] is None
    assert recorded(plan_of(grid=()), [])["grid"] is None


def test_importances_find_what_decides_and_ask_for_enough_trials():
    plan = plan_of()
    rows = rows_of(plan)
    found = importances(plan, rows)
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    assert found[AUGMENTATION] + found[LAMBDA] + found[SCALE] > found["guide.pg.distance"]
    assert importances(plan, rows[:7]) is None
    equal = [{**one, "values": {"val/top1": 90.0}} for one in rows]
    assert importances(plan, equal) is None


def test_importances_are_of_what_moves_the_objective_even_if_a_grid_moved_it_alone():
    """Twelve trials of a grid at one lambda, a few others that vary lambda to no avail."""
    plan = plan_of(watched=())
    gains = {"none": 0.0, "pytorch": 5.0, "dino": -5.0}
    asked_for = [(style, "cosine", 0.25) for style in gains for _ in range(4)]
    asked_for += [("pytorch", "l2", round(0.1 + 0.1 * step, 2)) for step in range(6)]
    rows = []
    for style, distance, weight in asked_for:
        tuned = {**plan.default, AUGMENTATION: style, DISTANCE: distance, LAMBDA: weight}
        rows.append(row(plan, 0, tuned=tuned, values={"val/top1": 85.0 + gains[style]}))
    found = importances(plan, rows)
    assert next(iter(found)) == AUGMENTATION
    assert found[AUGMENTATION] > 0.8


def test_measures_are_held_against_accuracy_over_complete_trials():
    plan = plan_of()
    study = recorded(plan, rows_of(plan))
    assert set(study["correlations"]) == {"holdout", "clip_score"}
    assert study["correlations"]["holdout"]["n"] == study["counts"]["complete"]
    assert study["correlations"]["holdout"]["spearman"] > 0
    assert recorded(plan, [row(plan, 0)])["correlations"]["holdout"] == {"spearman": None, "n": 1}


def test_equal_trials_give_equal_bytes_whatever_order_they_ended_in():
    plan = plan_of()
    rows = rows_of(plan)
    digests = [
        json.dumps(recorded(plan, trial_rows(plan, asked(*order))), sort_keys=True)
        for order in (rows, rows[::-1])
    ]
    assert digests[0] == digests[1]


def test_run_json_has_what_every_cell_has_and_its_study():
    plan = plan_of()
    rows = [row(plan, 0)]
    study = recorded(plan, rows)
    record = run_record(plan, rows, study, {"environment": {"threads": 1}})
    assert record["inputs"] == plan.inputs
    assert record["runs"] == rows
    assert record["study"] == study
    assert set(record["params"]) == {"seed", "student", "training", "study"}
    given = run_record(plan, rows, study, {"environment": {}, "params": {"tune": {}}})
    assert set(given["params"]) == {"seed", "student", "training", "tune"}
    json.dumps(record, allow_nan=False)


def test_what_a_trial_tells_is_logged_as_every_run_is():
    plan, lines = plan_of(), []
    log_event = event_logger(plan, lambda digest, event: lines.append((digest, event)))
    about, done = head(plan, 0, "default", plan.default, seeds=(0,)), row(plan, 0)
    log_event({"event": "start", "digest": "d", "run": about})
    log_event({"event": "epoch", "digest": "d", "metrics": {"epoch": 1, "val/top1": 50.0}})
    log_event({"event": "end", "digest": "d", "run": {**done, "state": "pruned"}})
    assert [digest for digest, _ in lines] == ["d"] * 3
    start, epoch, end = (event for _, event in lines)
    assert start["run"] == about
    assert set(start["params"]) == {"student", "training"}
    assert epoch == {"event": "epoch", "metrics": {"epoch": 1, "val/top1": 50.0}}
    assert (end["status"], end["run"]["state"]) == ("FINISHED", "pruned")
    assert "epochs" not in end["run"]


def test_ranks_and_not_values_are_correlated_with_ties_sharing_a_rank():
    assert record._spearman([1, 2, 3, 4], [1, 10, 100, 1000]) == 1.0
    assert record._spearman([1, 2, 3], [3, 2, 1]) == -1.0
    assert record._spearman([1, 2, 2, 4], [1, 2, 3, 4]) == pytest.approx(0.9486833)
    assert record._spearman([1, 1, 1], [1, 2, 3]) is None
    assert record._spearman([1, 2], [1, 2]) is None

from math import nan

import pytest
from search_world import (
    AUGMENTATION,
    EPOCHS,
    LAMBDA,
    SCALE,
    SILENT,
    KilledError,
    Rule,
    plan_of,
    rows_of_search,
    text,
)

from synthgap.errors import TrainingError
from synthgap.params.studies import Bound, SearchInterval
from synthgap.studies.trials.rungs import Rungs
from synthgap.studies.trials.sequential import search

TWO = {"objectives": ("val/top1", "val/loss"), "watched": (), "pruner": "none"}
CONTRADICTION = {"guide.rg.lambda_1": (0.0, 0.25), "guide.rg.lambda_2": (0.0, 0.75)}


@pytest.mark.parametrize("pruner", ["successive_halving", "hyperband", "median"])
def test_stopped_trials_take_fewer_steps_and_the_grid_is_never_stopped(tmp_path, pruner):
    attempt = Rule()
    rows = rows_of_search(plan_of(pruner=pruner, trials=30), tmp_path, attempt)
    assert {row["state"] for row in rows if row["kind"] in ("default", "grid")} == {"complete"}
    pruned = [row for row in rows if row["state"] == "pruned"]
    most = max(row["num_steps"] for row in rows)
    assert pruned
    assert all(0 < row["num_steps"] < most for row in pruned)
    assert sum(row["num_steps"] for row in rows) == sum(call["steps"] for call in attempt.calls)
    assert {row["kind"] for row in pruned} <= {"first", "search"}


def test_the_grid_learns_from_the_whole_set_alone(tmp_path):
    attempt = Rule()
    rows = rows_of_search(plan_of(), tmp_path, attempt)
    assert {call["share"] for call in attempt.calls[:9]} == {1.0}
    ended = next(row for row in rows if row["kind"] == "search" and row["state"] == "complete")
    assert len(ended["epochs"]) == 2 * EPOCHS
    assert [epoch["epoch"] for epoch in ended["epochs"]] == list(range(1, 2 * EPOCHS + 1))


def test_readings_are_numbered_by_share_seed_and_epoch(tmp_path):
    plan = plan_of(seeds=(0, 1), trials=14, pruner="median")
    trials = search(plan, Rule(), tmp_path / "kept", SILENT)
    trial_rungs = Rungs.of(plan)
    assert trial_rungs.total == 4 * EPOCHS
    steps = [list(trial.intermediate_values) for trial in trials]
    assert steps[0] == list(range(2 * EPOCHS + 1, 4 * EPOCHS + 1))
    assert steps[9] == list(range(1, 4 * EPOCHS + 1))
    last = trials[9].intermediate_values[4 * EPOCHS]
    assert last == pytest.approx(trials[9].value)


def test_shorter_trainings_end_where_longer_ones_do(tmp_path):
    space = {**plan_of().study.space, "guide.epochs": (3, 6)}
    plan = plan_of(space=space, seeds=(0, 1), first=({"guide.epochs": 3},))

    class Short(Rule):
        def __call__(self, values, **where):
            self.epochs = values["guide.epochs"]
            return super().__call__(values, **where)

    trial = search(plan, Short(), tmp_path / "kept", SILENT)[9]
    assert list(trial.intermediate_values)[-3:] == [19, 20, 24]
    assert list(trial.intermediate_values)[:3] == [1, 2, 6]


def test_metrics_of_the_last_epoch_are_reported_at_each_seeds_end(tmp_path):
    plan = plan_of(objectives=("holdout",), watched=("val/top1",), seeds=(0, 1))
    trials = search(plan, Rule(), tmp_path / "kept", SILENT)
    assert list(trials[0].intermediate_values) == [3 * EPOCHS, 4 * EPOCHS]
    assert {tuple(trial.intermediate_values)[:1] for trial in trials[9:]} == {(EPOCHS,)}
    assert any(trial.state.name == "PRUNED" for trial in trials)


def test_wilcoxon_compares_seeds_at_the_full_share(tmp_path):
    attempt = Rule()
    plan = plan_of(pruner="wilcoxon", seeds=(0, 1, 2, 3), trials=24)
    trials = search(plan, attempt, tmp_path / "kept", SILENT)
    assert {call["share"] for call in attempt.calls} == {1.0}
    ends = [EPOCHS, 2 * EPOCHS, 3 * EPOCHS, 4 * EPOCHS]
    assert list(trials[0].intermediate_values) == ends
    pruned = [trial for trial in trials if trial.state.name == "PRUNED"]
    assert pruned
    assert all(list(trial.intermediate_values) == ends[:3] for trial in pruned)


def test_a_complete_trial_has_means_over_seeds(tmp_path):
    row = rows_of_search(plan_of(seeds=(0, 1)), tmp_path)[0]
    assert row["last"]["val/top1"]["n"] == 2
    assert row["last"]["val/top1"]["over"] == "seeds"
    assert row["last"]["val/top1"]["std"] > 0
    assert row["values"] == {name: one["mean"] for name, one in row["last"].items()}
    assert set(row["values"]) == {"val/top1", "holdout", "clip_score"}
    assert (row["num_images"], row["num_steps"]) == (650, 2 * 20 * EPOCHS)
    assert row["real_labels"] == {"generator": 700, "reference": 0, "student": 50}


def test_a_stopped_trial_has_what_it_has(tmp_path):
    rows = rows_of_search(plan_of(), tmp_path)
    row = next(row for row in rows if row["state"] == "pruned")
    assert row["share"] == 0.5
    assert row["last"] == {}
    assert row["values"] == {"val/top1": row["epochs"][-1]["val/top1"]}
    assert not row["feasible"]


def test_bounds_mark_what_misses_them(tmp_path):
    plan = plan_of(constraints={"val/top1": Bound(84.0, 86.0)}, pruner="none")
    trials = search(plan, Rule(), tmp_path / "kept", SILENT)
    for trial in trials:
        inside = 84.0 <= trial.value <= 86.0
        assert trial.user_attrs["told"]["feasible"] is inside
        assert all(missed <= 0 for missed in trial.constraints.values()) is inside
        assert set(trial.constraints) == {"val/top1 at least 84", "val/top1 at most 86"}
    assert {trial.user_attrs["told"]["feasible"] for trial in trials} == {True, False}


def test_several_objectives_have_a_front(tmp_path):
    plan = plan_of(**{**TWO, "objectives": ("val/top1", "real_labels")}, sampler="nsga2")

    class Costly(Rule):
        def measured(self, metrics, values):
            if "real_labels" in metrics:
                metrics["real_labels"] = 100 * values[LAMBDA]
            return metrics

        def best(self, values):
            return 80 + 10 * values[LAMBDA] - values[SCALE]

    trials = search(plan, Costly(), tmp_path / "kept", SILENT)
    assert all(len(trial.values) == 2 for trial in trials)
    pairs = [trial.values for trial in trials]
    better = [[two for two in pairs if two[0] > one[0] and two[1] < one[1]] for one in pairs]
    front = [one for one, beaten in zip(trials, better, strict=True) if not beaten]
    assert 2 <= len(front) < len(trials)


def test_values_that_contradict_each_other_fail_with_their_reason_and_count(tmp_path):
    plan = plan_of(space=CONTRADICTION, grid=tuple(CONTRADICTION), first=(), trials=8)
    attempt = Rule()
    rows = rows_of_search(plan, tmp_path, attempt)
    failed = [row for row in rows if row["state"] == "failed"]
    assert len(rows) == 8
    assert {tuple(row["tuned"].values()) for row in failed} == {(0.0, 0.0)}
    assert "not both 0" in failed[0]["reason"]
    assert all(call["values"] != failed[0]["tuned"] for call in attempt.calls)


def test_a_training_that_cannot_go_on_fails_its_trial_alone(tmp_path):
    class Diverging(Rule):
        def measured(self, metrics, values):
            if values[AUGMENTATION] == "dino" and len(self.calls) > 2:
                raise TrainingError("loss is nan at step 7")
            return metrics

    rows = rows_of_search(plan_of(), tmp_path, Diverging())
    reasons = {row["reason"] for row in rows if row["state"] == "failed"}
    assert reasons == {"loss is nan at step 7"}
    assert any(row["state"] == "complete" for row in rows)


@pytest.mark.parametrize("missing", [{"val/top1": nan}, {}])
def test_an_objective_that_is_no_number_fails_the_trial(tmp_path, missing):
    class Blind(Rule):
        def measured(self, metrics, values):
            del metrics["val/top1"]
            return {**metrics, **missing}

    rows = rows_of_search(plan_of(), tmp_path, Blind())
    assert {row["state"] for row in rows} == {"failed"}
    assert "val/top1 is" in rows[0]["reason"]
    text(rows)


def test_what_no_trial_can_mend_stops_the_search_and_gives_the_slot_back(tmp_path):
    events = []
    with pytest.raises(KilledError):
        rows_of_search(plan_of(), tmp_path, Rule(stop_at=3), log_event=events.append)
    assert events[-1]["event"] == "end"
    assert events[-1]["run"]["state"] == "killed"
    assert len((tmp_path / "kept.jsonl").read_text().splitlines()) == 3


def test_it_is_told_what_happens_while_it_happens(tmp_path):
    events = []
    rows = rows_of_search(plan_of(), tmp_path, log_event=events.append)
    for row in rows:
        own = [event for event in events if event["digest"] == row["digest"]]
        assert [event["event"] for event in own] == [
            "start",
            *["epoch"] * len(row["epochs"]),
            "end",
        ]
        assert [event["metrics"] for event in own[1:-1]] == row["epochs"]
        assert own[-1]["run"] == row
    assert len({row["digest"] for row in rows}) == 20


def test_a_stopped_training_is_closed(tmp_path):
    closed = []

    class Careful(Rule):
        def __call__(self, values, **where):
            try:
                yield from super().__call__(values, **where)
            finally:
                closed.append(where["seed"])

    attempt = Careful()
    rows_of_search(plan_of(), tmp_path, attempt)
    assert len(closed) == len(attempt.calls)


def test_whole_numbers_are_searched_as_such(tmp_path):
    space = {"guide.prefix.depth": SearchInterval(1.0, 5.0, 1.0, False), LAMBDA: (0.25, 0.5)}
    rows = rows_of_search(plan_of(space=space, grid=(), first=()), tmp_path)
    assert {type(row["tuned"]["guide.prefix.depth"]) for row in rows} == {int}

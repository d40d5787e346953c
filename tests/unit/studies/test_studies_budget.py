import pytest
from search_world import AUGMENTATION, LAMBDA, SCALE, plan_of

from synthgap.errors import ParamsError
from synthgap.params.studies import SearchInterval
from synthgap.studies.trials.budget import grid_values, planned_trials


def kinds(plan):
    return [slot.kind for slot in planned_trials(plan)]


def test_the_budget_is_the_default_the_grid_the_beginnings_and_the_search():
    plan = plan_of()
    assert kinds(plan) == ["default"] + ["grid"] * 8 + ["first"] + ["search"] * 10
    assert [slot.number for slot in planned_trials(plan)] == list(range(20))


def test_every_pair_of_the_grid_comes_once_with_the_rest_at_default():
    plan = plan_of()
    fixed = [slot.values for slot in planned_trials(plan) if slot.kind in ("default", "grid")]
    pairs = [(values[SCALE], values[AUGMENTATION]) for values in fixed]
    assert sorted(pairs) == [
        (scale, name) for scale in (1.0, 2.0, 7.5) for name in ("dino", "none", "pytorch")
    ]
    assert fixed[0] == plan.default
    assert {values[LAMBDA] for values in fixed} == {plan.default[LAMBDA]}


def test_a_stepped_interval_crosses_all_its_values():
    plan = plan_of(space={**plan_of().study.space, SCALE: SearchInterval(1.0, 4.0, 1.0, False)})
    assert grid_values(plan)[0] == [1.0, 2.0, 3.0, 4.0]
    assert kinds(plan).count("grid") == 11


def test_an_interval_without_a_step_has_no_grid():
    space = {**plan_of().study.space, LAMBDA: SearchInterval(0.1, 0.9, None, False)}
    with pytest.raises(ParamsError, match=r"grid: guide.rg.lambda_1 has no step, expected"):
        planned_trials(plan_of(space=space, grid=(LAMBDA, AUGMENTATION)))


def test_settings_that_are_there_already_cost_no_trial():
    plan = plan_of(first=({LAMBDA: 0.25}, {AUGMENTATION: "none"}, {LAMBDA: 0.5}, {LAMBDA: 0.5}))
    assert kinds(plan).count("first") == 1


def test_more_fixed_trials_than_the_budget_are_refused():
    with pytest.raises(ParamsError, match=r"study tune, trials: 9, .* are 10; expected at least"):
        planned_trials(plan_of(trials=9))
    assert kinds(plan_of(trials=10)).count("search") == 0


def test_a_beginning_outside_the_space_is_refused():
    with pytest.raises(ParamsError, match=r"guide.rg.lambda_1 is 0.51 .* \(0.05, 0.1, ... 0.95\)"):
        planned_trials(plan_of(first=({LAMBDA: 0.51},)))

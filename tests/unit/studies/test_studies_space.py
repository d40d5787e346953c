import optuna
import pytest
from search_world import AUGMENTATION, LAMBDA, SCALE, SIMILARITY, plan_of

from synthgap.errors import ParamsError
from synthgap.params.studies import SearchInterval
from synthgap.studies.trials.space import all_values, distributions, in_space, suggested

DEPTH, RATE = "guide.prefix.depth", "training.base_lr"


def spaced(**space):
    return plan_of(space=space, grid=(), first=())


def drawn(plan, count=60, **fixed):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(count):
        study.enqueue_trial(fixed)
    return [suggested(study.ask(), plan) for _ in range(count)]


def test_a_key_is_drawn_from_as_its_own_type_says():
    interval = SearchInterval(1.0, 4.0, None, False)
    plan = spaced(**{DEPTH: interval, RATE: interval, AUGMENTATION: ("none", "dino")})
    kinds = {key: type(one).__name__ for key, one in distributions(plan).items()}
    assert kinds == {
        DEPTH: "IntDistribution",
        RATE: "FloatDistribution",
        AUGMENTATION: "CategoricalDistribution",
    }
    assert {type(one[DEPTH]) for one in drawn(plan)} == {int}
    assert {one[DEPTH] for one in drawn(plan)} == {1, 2, 3, 4}


def test_stepped_numbers_are_written_as_a_reader_would():
    plan = spaced(**{SCALE: SearchInterval(1.0, 4.0, 0.1, False)})
    found = {one[SCALE] for one in drawn(plan, 300)}
    assert {len(repr(value)) for value in found} == {3}
    assert found <= set(all_values(plan, SCALE))
    assert len(all_values(plan, SCALE)) == 31
    assert {2.1, 2.3, 2.9} <= set(all_values(plan, SCALE))


def test_a_step_that_does_not_divide_ends_before_high():
    plan = spaced(**{LAMBDA: SearchInterval(0.1, 0.95, 0.2, False)})
    assert all_values(plan, LAMBDA) == [0.1, 0.3, 0.5, 0.7, 0.9]
    assert max(one[LAMBDA] for one in drawn(plan, 200)) == 0.9


def test_other_numbers_have_four_digits_and_stay_inside():
    plan = spaced(**{RATE: SearchInterval(0.12345, 4.0, None, True)})
    found = [one[RATE] for one in drawn(plan, 200)]
    assert all(0.12345 <= value <= 4.0 for value in found)
    assert all(float(f"{value:.4g}") == value or value == 0.12345 for value in found)
    assert all_values(plan, RATE) is None


def test_lists_have_the_keys_own_kind_of_numbers():
    plan = spaced(**{SCALE: (1, 2.0, 7.5)})
    assert [type(value) for value in all_values(plan, SCALE)] == [float] * 3
    assert in_space(plan, SCALE, 1) == 1.0


def test_what_is_fixed_is_what_is_suggested():
    plan = plan_of()
    found = drawn(plan, 3, **{SCALE: 7.5, LAMBDA: 0.35, SIMILARITY: "l1"})
    assert {(one[SCALE], one[LAMBDA], one[SIMILARITY]) for one in found} == {(7.5, 0.35, "l1")}


@pytest.mark.parametrize(
    ("space", "value"),
    [
        ({LAMBDA: SearchInterval(0.1, 0.9, 0.1, False)}, 0.25),
        ({LAMBDA: SearchInterval(0.5, 0.9, None, False)}, 0.25),
        ({LAMBDA: (0.1, 0.2)}, 0.25),
    ],
)
def test_a_value_that_is_not_tried_is_refused_in_one_line(space, value):
    with pytest.raises(ParamsError, match=r"study tune, space: guide.rg.lambda_1 is 0.25 .*tried"):
        in_space(spaced(**space), LAMBDA, value)

import warnings

import optuna
import pytest
from search_world import plan_of

from synthgap.studies.trials.rungs import Rungs
from synthgap.studies.trials.samplers import directions, pruner, quiet, sampler
from synthgap.studies.trials.space import distributions

TWO = ("val/top1", "real_labels")
SHARED = {"objectives": TWO, "watched": (), "pruner": "none"}


def ended(plan, slot, count=12):
    """A study of ended trials that knows nothing of how they were drawn."""
    study = optuna.create_study(directions=directions(plan))
    space = distributions(plan)
    with quiet():
        for number in range(count):
            study.sampler = optuna.samplers.RandomSampler(seed=number)
            trial = study.ask(space)
            weight = trial.params["guide.rg.lambda_1"]
            study.tell(trial, [weight, 2 * weight][: len(directions(plan))])
        study.sampler = sampler(plan, slot)
        return study.ask(space).params


@pytest.mark.parametrize("name", ["tpe", "random", "gp", "nsga2"])
def test_a_slot_draws_the_same_whenever_it_is_drawn(name):
    plan = plan_of(**(SHARED if name == "nsga2" else {}), sampler=name)
    found = [ended(plan, slot) for slot in (12, 12, 13)]
    assert found[0] == found[1]
    assert name == "gp" or found[0] != found[2]  # the best guess of a model may be the same one


def test_equal_slots_of_other_studies_and_seeds_draw_otherwise():
    plan = plan_of(sampler="random")
    other = type(plan)("other", plan.study, plan.base)
    assert ended(plan, 12) != ended(other, 12)


def test_less_is_better_of_some_metrics():
    assert directions(plan_of(**SHARED)) == ["maximize", "minimize"]


def rungs(plan):
    """Readings at which trials are compared, by bracket of Hyperband."""
    found = pruner(plan)
    found._try_initialization(optuna.create_study())
    trial_rungs = Rungs.of(plan)
    return [
        [
            rung
            for k in (0, 1, 2)
            if (
                rung := one._min_resource * trial_rungs.factor ** (k + one._min_early_stopping_rate)
            )
            < trial_rungs.total
        ]
        for one in found._pruners
    ]


@pytest.mark.parametrize(
    ("shares", "seeds", "expected"),
    [
        ((0.5, 1.0), (0,), [[5, 10], [10]]),
        ((0.25, 1.0), (0, 1), [[10, 20], [20]]),
        ((1.0,), (0,), [[3]]),
        ((0.1, 0.3, 1.0), (0,), [[5, 15], [15]]),
    ],
)
def test_trials_are_compared_late_in_the_first_and_in_the_full_share(shares, seeds, expected):
    asked = {"shares": shares, "seeds": seeds}
    assert rungs(plan_of(pruner="hyperband", **asked)) == expected
    halving = pruner(plan_of(pruner="successive_halving", **asked))
    trial_rungs = Rungs.of(plan_of(pruner="successive_halving", **asked))
    first, second = halving._min_resource, halving._min_resource * halving._reduction_factor
    assert [rung for rung in (first, second) if rung < trial_rungs.total] == expected[0]
    assert trial_rungs.total == 6 * len(shares) * len(seeds)
    median = pruner(plan_of(pruner="median", **asked))
    assert median._n_warmup_steps == first
    assert median._interval_steps == (first if len(shares) > 1 else 1)


@pytest.mark.parametrize(("seeds", "threshold"), [((0, 1, 2), 0.275), (tuple(range(9)), 0.1)])
def test_wilcoxon_can_stop_a_trial_before_its_last_seed(seeds, threshold):
    plan = plan_of(pruner="wilcoxon", seeds=seeds)
    assert pruner(plan)._p_threshold == pytest.approx(threshold)
    assert 0.5 ** (len(seeds) - 1) < pruner(plan)._p_threshold


def test_without_pruning_smaller_shares_are_left_out():
    assert Rungs.of(plan_of(pruner="none")).shares == (1.0,)
    assert Rungs.of(plan_of(pruner="wilcoxon", seeds=(0, 1, 2))).shares == (1.0,)


def test_other_warnings_stay_warnings():
    with pytest.warns(UserWarning, match="of its own"):
        warn_quietly()


def warn_quietly():
    with quiet():
        warnings.warn("of its own", stacklevel=1)

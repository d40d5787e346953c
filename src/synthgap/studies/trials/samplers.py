"""What draws the next trial and what stops a poor one, as a study asks for them.

Akiba et al., "Optuna" (2019); TPE: Bergstra et al. (2011), Watanabe (2023); ASHA: Li et al. (2020);
Hyperband: Li et al. (2018).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from synthgap.params.studies import SMALLER
from synthgap.seeding import derived_seed
from synthgap.studies.trials.plan import StudyPlan
from synthgap.studies.trials.rungs import Rungs

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

RANDOM_FIRST = (4, 10)
"""At least and at most so many trials are ended before a model of them draws the next."""
WORSE = 0.1
"""Wilcoxon: how likely chance alone may be behind a trial that is stopped."""


def directions(plan: StudyPlan) -> list[Literal["minimize", "maximize"]]:
    """`minimize` or `maximize`, of every objective."""
    return ["minimize" if name in SMALLER else "maximize" for name in plan.study.objectives]


def sampler(plan: StudyPlan, slot: int) -> BaseSampler:
    """What draws the trial of a slot, with a seed of its own.

    It is made anew for each trial, so that a study goes on after an interruption as it would have
    without one.
    """
    import optuna.samplers as optuna_samplers

    seed = derived_seed(plan.base.seed, "study", plan.name, slot) % 2**32
    trials = plan.study.trials
    random_first = min(max(RANDOM_FIRST[0], trials // 4), RANDOM_FIRST[1])
    match plan.study.sampler:
        case "random":
            return optuna_samplers.RandomSampler(seed=seed)
        case "gp":
            with quiet():
                return optuna_samplers.GPSampler(seed=seed, n_startup_trials=random_first)
        case "nsga2":
            return optuna_samplers.NSGAIISampler(
                seed=seed, population_size=min(max(4, trials // 4), 50)
            )
        case "tpe":
            return optuna_samplers.TPESampler(seed=seed, n_startup_trials=random_first)


def pruner(plan: StudyPlan) -> BasePruner:
    """What stops trials: late in the first share, and as late in the full one.

    The last reading of all is never asked about: there is nothing left to save.
    """
    import optuna.pruners as optuna_pruners

    trial_rungs = Rungs.of(plan)
    rung, factor = trial_rungs.first_rung, trial_rungs.factor
    match plan.study.pruner:
        case "successive_halving":
            return optuna_pruners.SuccessiveHalvingPruner(rung, reduction_factor=factor)
        case "hyperband":  # trials of its second bracket pass the first rung unseen
            most = max(rung, trial_rungs.total - 1)
            return optuna_pruners.HyperbandPruner(rung, most, reduction_factor=factor)
        case "median":
            return optuna_pruners.MedianPruner(
                n_startup_trials=RANDOM_FIRST[0],
                n_warmup_steps=rung,
                interval_steps=trial_rungs.between,
                n_min_trials=2,
            )
        case "wilcoxon":
            with quiet():
                return optuna_pruners.WilcoxonPruner(p_threshold=_worse(len(plan.study.seeds)))
        case "none":
            return optuna_pruners.NopPruner()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep optuna from warning of what is asked for on purpose.

    Of features that it calls experimental and that are pinned here by requirements.lock, and of a
    slower but equal way of its Gaussian process where `greenlet` is not installed.
    """
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ExperimentalWarning)
        warnings.filterwarnings("ignore", message=".*greenlet.*")
        yield


def _worse(num_seeds: int) -> float:
    """The threshold, raised where so few seeds could never reach it before the last one.

    n seeds that are all worse happen by chance once in 2^n.
    """
    return max(WORSE, 1.1 * 0.5 ** (num_seeds - 1))

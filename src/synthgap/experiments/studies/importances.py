"""Which keys of a study's space decide how good a trial is."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthgap.experiments.studies.plan import StudyPlan
from synthgap.experiments.studies.rows import Row
from synthgap.params.studies import SMALLER

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

FEWEST = 8  # complete trials
FEWEST_GOOD = 5  # trials above the quantile that PED-ANOVA should have; its own default is a tenth


def importances(plan: StudyPlan, rows: Sequence[Row]) -> dict[str, float] | None:
    """Share of each key in what sets the best trials apart, 0..1, the largest first.

    PED-ANOVA (Watanabe et al., arXiv 2304.10255) for the first objective. None where fewer than
    eight complete trials lie in the space, or where they are equally good.
    """
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    from synthgap.experiments.studies.space import distributions

    space, metric = distributions(plan), str(plan.study.objectives[0])
    inside = [
        trial
        for row in rows
        if row["state"] == "complete" and (trial := _rebuilt(space, row, metric)) is not None
    ]
    if len(inside) < FEWEST:
        return None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=optuna.storages.InMemoryStorage(),
        study_name=plan.name,
        direction="minimize" if metric in SMALLER else "maximize",
        sampler=optuna.samplers.RandomSampler(seed=plan.base.seed),
    )
    study.add_trials(inside)
    share = min(0.5, max(0.1, FEWEST_GOOD / len(inside)))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # trials that cannot be told apart
            found = get_param_importances(study, evaluator=evaluator)
    except (UserWarning, RuntimeError):
        return None
    ranked = sorted(found.items(), key=lambda item: (-round(item[1], 6), item[0]))
    return {key: round(float(value), 6) for key, value in ranked}


def _rebuilt(space: Mapping[str, BaseDistribution], row: Row, metric: str) -> FrozenTrial | None:
    """The row as a trial of optuna's; None of values outside the space, as defaults may be."""
    from optuna.trial import create_trial

    tuned: Mapping[str, Any] = row["tuned"]
    try:
        return create_trial(
            params={key: tuned[key] for key in space},
            distributions=dict(space),
            value=row["values"][metric],
        )
    except (ValueError, KeyError):
        return None

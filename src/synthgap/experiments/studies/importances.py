"""Which keys of a study's space decide how good a trial is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthgap.experiments.studies.plan import StudyPlan
from synthgap.experiments.studies.rows import Row
from synthgap.params.studies import SMALLER
from synthgap.seeding import derived_seed

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

FEWEST = 8  # complete trials


def importances(plan: StudyPlan, rows: Sequence[Row]) -> dict[str, float] | None:
    """Share of each key in what moves the first objective, 0..1, the largest first.

    fANOVA (Hutter et al., ICML 2014). PED-ANOVA, optuna's default, credits the keys that a grid
    leaves at one value: on the digits it gave guidance and augmentation, which move accuracy by
    points, nothing. None where fewer than eight complete trials lie in the space, or where they
    are equally good.
    """
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

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
    if len({trial.value for trial in inside}) == 1:
        return None
    evaluator = FanovaImportanceEvaluator(seed=derived_seed(plan.base.seed, "importances") % 2**32)
    try:
        found = get_param_importances(study, evaluator=evaluator)
    except RuntimeError:  # trials that cannot be told apart
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

"""The search space as optuna has it, and values as params.yaml has them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from synthgap.errors import ParamsError
from synthgap.params.studies import SearchInterval
from synthgap.studies.trials.plan import StudyPlan

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

DIGITS = 4
"""Significant digits of a number from an interval without a step: what a reader would write."""


def distributions(plan: StudyPlan) -> dict[str, BaseDistribution]:
    """What every key is drawn from, of the type that stands at the key."""
    return {key: _distribution(plan, key) for key in plan.study.space}


def suggested(trial: optuna.Trial, plan: StudyPlan) -> dict[str, Any]:
    """A trial's value of every key, as it would be written into params.yaml."""
    found = {}
    for key, dimension in plan.study.space.items():
        drawn = _drawn(trial, key, _distribution(plan, key))
        found[key] = _rounded(drawn, dimension) if isinstance(dimension, SearchInterval) else drawn
    return found


def all_values(plan: StudyPlan, key: str) -> list[Any] | None:
    """Every value that a key can have, in order; None where there is no end of them."""
    dimension = plan.study.space[key]
    if not isinstance(dimension, SearchInterval):
        return [_native(value, plan.default[key]) for value in dimension]
    whole = _is_whole(plan.default[key])
    if dimension.step is None and (dimension.log or not whole):
        return None
    low, step = _exact(dimension.low), _exact(dimension.step or 1)
    count = int((_exact(dimension.high) - low) / step) + 1
    numbers = [low + index * step for index in range(count)]
    return [int(number) if whole else float(number) for number in numbers]


def in_space(plan: StudyPlan, key: str, value: object) -> Any:  # noqa: ANN401 - any value there is
    """The value as its key has it.

    Raises:
        ParamsError: it is none of those that are tried.
    """
    value = _native(value, plan.default[key])
    dimension, listed = plan.study.space[key], all_values(plan, key)
    if listed is not None:
        if any(type(one) is type(value) and one == value for one in listed):
            return value
        tried = str(listed) if len(listed) <= 8 else f"{listed[0]}, {listed[1]}, ... {listed[-1]}"
    else:
        assert isinstance(dimension, SearchInterval)
        if isinstance(value, int | float) and dimension.low <= value <= dimension.high:
            return value
        tried = f"{dimension.low:g} to {dimension.high:g}"
    raise ParamsError(
        f"study {plan.name}, space: {key} is {value!r} in a trial that is not drawn, expected one "
        f"of what is tried ({tried}); add it there, or change it"
    )


def _distribution(plan: StudyPlan, key: str) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    dimension, listed = plan.study.space[key], all_values(plan, key)
    if not isinstance(dimension, SearchInterval):
        return CategoricalDistribution(listed or [])
    if _is_whole(plan.default[key]):
        last = listed[-1] if listed else int(dimension.high)
        step = int(dimension.step or 1)
        return IntDistribution(int(dimension.low), last, log=dimension.log, step=step)
    high = dimension.high if listed is None else listed[-1]
    return FloatDistribution(dimension.low, high, log=dimension.log, step=dimension.step)


def _drawn(trial: optuna.Trial, key: str, drawn_from: BaseDistribution) -> Any:  # noqa: ANN401
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(drawn_from, CategoricalDistribution):
        return trial.suggest_categorical(key, drawn_from.choices)
    if isinstance(drawn_from, IntDistribution):
        low, high = drawn_from.low, drawn_from.high
        return trial.suggest_int(key, low, high, step=drawn_from.step, log=drawn_from.log)
    assert isinstance(drawn_from, FloatDistribution)
    least, most = drawn_from.low, drawn_from.high
    return trial.suggest_float(key, least, most, step=drawn_from.step, log=drawn_from.log)


def _rounded(value: float, dimension: SearchInterval) -> float:
    """The number of the interval's grid that is meant: 2.1, and not 2.0999999."""
    if isinstance(value, int):
        return value
    if dimension.step is None:
        written = float(f"{value:.{DIGITS}g}")
        return min(max(written, dimension.low), dimension.high)
    low, step = _exact(dimension.low), _exact(dimension.step)
    return float(low + round((_exact(value) - low) / step) * step)


def _exact(number: float) -> Decimal:
    """A number as it is written."""
    return Decimal(repr(number))


def _is_whole(default: object) -> bool:
    return isinstance(default, int) and not isinstance(default, bool)


def _native(value: object, default: object) -> object:
    """A whole number as a number with a point where the key has such ones."""
    return float(value) if type(value) is int and type(default) is float else value

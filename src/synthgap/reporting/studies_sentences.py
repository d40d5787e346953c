"""What a study found, in sentences made from its record alone, whatever it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Any

from synthgap.params.studies import LABELLED
from synthgap.reporting.formats import number
from synthgap.reporting.record_names import method_name
from synthgap.reporting.studies import StudyFindings, value
from synthgap.reporting.studies_grid import grid_metric, joint_std, unscored
from synthgap.reporting.studies_names import (
    key_name,
    metric_format,
    metric_word,
    score,
    score_spread,
    tuned_names,
    value_name,
)

PROXIES = ("holdout", "agreement", "clip_score")  # metrics that need no real label
CHANCE = 1.96  # of a normal, over sqrt(n - 1): a rank correlation that chance alone may give


def study_sentences(found: StudyFindings) -> list[str]:
    """What was tried, what won, what joint tuning adds, and what it cost in labels and steps."""
    sentences = [_scope(found), *verdict_sentences(found), *_joint(found), *_front(found)]
    return [*sentences, *_labels(found), *_steps(found), *_proxies(found)]


def _scope(found: StudyFindings) -> str:
    study = found.study
    named = f"Study {found.name} of {method_name(study['method'])} ({study['protocol']})"
    if not found.trials:
        return f"{named}: none of its {study['trials']} trials has ended yet."
    counts = {state: len(found.having(state)) for state in ("complete", "pruned", "failed")}
    state_counts = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    over = _counted(len(found.keys), "parameter")
    text = f"{named}: {_counted(len(found.trials), 'trial')} over {over}, {state_counts}"
    if found.unfinished:
        text += f"; {found.unfinished} of the budget of {study['trials']} have not ended yet"
    return f"{text}. {_best(found)}"


def _best(found: StudyFindings) -> str:
    objective = found.objectives[0].metric
    best = found.best
    if best is None:
        if found.complete:
            return "No complete trial met all bounds, so that there is no best one."
        return "No trial is complete, so that nothing is found yet."
    text = (
        f"Best by {metric_word(objective)}: trial {best['trial']}, {trial_score(best, objective)}"
    )
    default = found.trial("default")
    if default is None or value(default, objective) is None:
        return f"{text}."
    if best["trial"] == default["trial"]:
        return f"{text}, which is the default itself."
    text += f", against {trial_score(default, objective)} of the default"
    return f"{text}; as the best of {len(found.complete)} it is likely overestimated."


def trial_score(trial: Mapping[str, Any], metric: str) -> str:
    """A trial's value with spread and count."""
    last = (trial.get("last") or {}).get(metric)
    if last is not None and last["n"] >= 1:
        return score_spread(metric, last)
    return score(metric, value(trial, metric), unit=True)


def verdict_sentences(found: StudyFindings) -> Iterator[str]:
    """Winner against default on test, or on val where nothing won; nothing before the finals."""
    verdict, winner = found.study.get("verdict"), found.study.get("winner")
    if winner is None:
        return
    changed = tuned_names(winner["tuned"], found.default, found.keys)
    if not changed:
        scored = verdict and score_spread("val/top1", verdict["default_top1"])
        yield (
            "Trained again with fresh seeds, no trial beats the default on val: tuning changes "
            f"nothing here{f', and on test the default has {scored}' if scored else ''}."
        )
        return
    if verdict is None:
        yield f"Winner on val: {_called(winner)} ({changed}); not held against the default on test."
        return
    paired = verdict["difference"]
    text = (
        f"On test, the winner by fresh seeds ({_called(winner)}: {changed}) has "
        f"{score_spread('val/top1', verdict['winner_top1'])}, the default "
        f"{score_spread('val/top1', verdict['default_top1'])}: {number(paired['mean'], 1, '+')}"
    )
    yield f"{text}{_outcome(paired)}"


def _outcome(paired: Mapping[str, Any]) -> str:
    """The rest of the sentence: interval, count, and whether it excludes zero."""
    low, high = paired["low"], paired["high"]
    if low is None or high is None:
        return " points (one seed has no interval), not resolved."
    held = f" [{number(low, 1)}, {number(high, 1)}] points"
    sure = f"{100 * float(paired['confidence']):g} % interval over {paired['n']} paired seeds"
    if low <= 0 <= high:
        return f"{held} ({sure}), not resolved: the interval holds 0."
    return f"{held} ({sure}), resolved: tuning {'gains' if low > 0 else 'loses'}."


def _called(winner: Mapping[str, Any]) -> str:
    return "default" if winner["trial"] == "default" else f"trial {winner['trial']}"


def _joint(found: StudyFindings) -> Iterator[str]:
    grid = found.study.get("grid")
    if not grid or grid.get("predicted") is None or grid.get("joint") is None:
        return
    cells = [cell for row in grid["cells"] for cell in row]
    if len(cells) - unscored(grid) < 2:
        return
    metric = grid_metric(grid)
    apart = ", ".join(
        f"{key_name(key)} alone {_points(metric, grid['alone'][key]['gain'], '+')} "
        f"({_where(grid['alone'][key])})"
        for key in grid["keys"]
    )
    joint, predicted = float(grid["joint"]["score"]), float(grid["predicted"])
    _, _, digits = metric_format(metric)
    off = round(joint, digits) - round(predicted, digits)
    beside = "the same as the sum"
    if abs(off) > 0.5 * 10**-digits:
        beside = f"{_points(metric, abs(off))} {'above' if off > 0 else 'below'} the sum"
    std = joint_std(found)
    spread = "" if std is None else f" \N{PLUS-MINUS SIGN} {score(metric, std)}"
    each = "single runs" if std is None else f"means and stds of {found.num_seeds} seeds"
    lacking = f"; {unscored(grid)} of {len(cells)} have no value" if unscored(grid) else ""
    yield (
        f"Tuned apart, {metric_word(metric)} changes by: {apart}. Their sum predicts "
        f"{score(metric, predicted, unit=True)}; tuned together they reach {score(metric, joint)}"
        f"{spread}{_unit(metric)} ({_at(grid)}), {beside}. Cells are {each}, "
        f"and each of these is the best of several{lacking}."
    )


def _where(alone: Mapping[str, Any]) -> str:
    at = value_name(alone["value"])
    return f"at {at}" if alone["gain"] else f"best at its default, {at}"


def _points(metric: str, gain: float, sign: str = "") -> str:
    _, unit, digits = metric_format(metric)
    return number(gain, digits, sign) + (" points" if unit == "%" else "")


def _unit(metric: str) -> str:
    _, unit, _ = metric_format(metric)
    return f" {unit}" if unit else ""


def _at(grid: Mapping[str, Any]) -> str:
    pairs = zip(grid["keys"], grid["joint"]["values"], strict=True)
    return ", ".join(f"{key_name(key)} {value_name(setting)}" for key, setting in pairs)


def _front(found: StudyFindings) -> Iterator[str]:
    first, *others = found.objectives
    ends = sorted(found.front, key=lambda row: value(row, first.metric) or 0.0)
    if not others or not ends:
        return
    names = " and ".join(metric_word(each.metric) for each in found.objectives)
    trials = f"{_end(found, ends[0])} alone"
    if len(ends) > 1:
        trials = f"{len(ends)} trials, from {_end(found, ends[0])} to {_end(found, ends[-1])}"
    yield f"Pareto front of {names}: {trials}."


def _end(found: StudyFindings, trial: Mapping[str, Any]) -> str:
    reached = ", ".join(
        f"{metric_word(each.metric)} {trial_score(trial, each.metric)}" for each in found.objectives
    )
    return f"trial {trial['trial']} ({reached})"


def _labels(found: StudyFindings) -> Iterator[str]:
    labels = found.study["labels"]
    spent = labels["objective"]
    names = " and ".join(metric_word(each.metric) for each in found.objectives)
    if not spent:
        free = ": it is data-free" if found.study.get("data_free") else ""
        yield f"Choosing by {names} spends no real label of val, beside {_others(labels)}{free}."
        return
    yield (
        f"Choosing by {names} spends {spent:,} real labels of val, beside {_others(labels)}: a "
        "student of synthetic images alone that was tuned so is not data-free."
    )


def _others(labels: Mapping[str, Any]) -> str:
    keys = ("generator", "reference", "student")
    counts = ("an unknown number" if labels[key] is None else f"{labels[key]:,}" for key in keys)
    return ", ".join(
        f"{count} of the {key}" for key, count in zip(keys, counts, strict=True)
    )  # fmt: skip


def _steps(found: StudyFindings) -> Iterator[str]:
    spent, full = found.study.get("num_steps"), found.study.get("full_steps")
    if spent and full and spent >= full:
        yield f"Trials spent {spent:,} optimiser steps; pruning spared none."
    elif spent and full:
        yield (
            f"Trials spent {spent:,} optimiser steps, {100 * spent / full:.0f} % of the {full:,} "
            "that as many at full share without pruning would have taken."
        )


def _proxies(found: StudyFindings) -> Iterator[str]:
    proxies = [
        (name, each["spearman"], int(each["n"]))
        for name, each in (found.study.get("correlations") or {}).items()
        if name not in LABELLED and name in PROXIES and each["spearman"] is not None
    ]
    if not proxies:
        return
    proxies.sort(key=lambda each: -each[1])
    ranks = "; ".join(f"{metric_word(name)} {_rank(rho, n)}" for name, rho, n in proxies)
    best, rho, n = proxies[0]
    ends = (
        f"{metric_word(best)} ranks settings most as val does" if not by_chance(rho, n) and rho > 0
        else "none of them ranks settings as val does"
    )  # fmt: skip
    yield f"Without real labels, rank correlation (Spearman) with val accuracy: {ranks}; {ends}."


def _rank(rho: float, n: int) -> str:
    within = ", no more than chance may give" if by_chance(rho, n) else ""
    return f"{number(rho, 2)} (n={n}{within})"


def by_chance(rho: float, n: int) -> bool:
    """Whether unrelated metrics reach this often too; |r| < 1.96 / sqrt(n - 1), roughly."""
    return n < 4 or abs(rho) < CHANCE / sqrt(n - 1)


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"

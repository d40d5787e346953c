from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from synthgap.errors import ParamsError
from synthgap.params import parse_params, read_params
from synthgap.params.studies import (
    LABELLED,
    METRICS,
    SMALLER,
    Bound,
    Finals,
    SearchInterval,
    Study,
)

ROOT = Path(__file__).resolve().parents[3]
DIGITS = ROOT / "recipes" / "digits.yaml"


@cache
def shipped() -> dict[str, Study]:
    params = read_params(DIGITS)
    return {**params.studies, "tune": params.tune.study}


def problems(**changes) -> str:
    return "\n".join(replace(shipped()["tune"], **changes).problems())


def test_the_stages_study_is_one_of_them():
    assert set(shipped()) == {"tune", *read_params(DIGITS).studies}
    assert not [text for study in shipped().values() for text in study.problems()]


def test_metrics_say_which_spend_labels_and_which_are_small():
    assert set(METRICS) >= LABELLED | SMALLER
    assert all(name.startswith("val/") for name in LABELLED)
    assert not {"holdout", "agreement", "clip_score", "real_labels"} & LABELLED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trials": 0}, "trials: 0, expected at least 1"),
        ({"seeds": ()}, "seeds: []"),
        ({"seeds": (1, 1)}, "seeds: [1, 1]"),
        ({"shares": ()}, "shares: []"),
        ({"shares": (0.5,)}, "shares: [0.5]"),
        ({"shares": (0.0, 1.0)}, "shares: [0.0, 1.0]"),
        ({"shares": (0.5, 0.5, 1.0)}, "shares: [0.5, 0.5, 1.0]"),
        ({"shares": (1.0, 0.5)}, "shares: [1.0, 0.5]"),
        ({"space": {}, "grid": (), "first": ()}, "space: {}"),
        ({"objectives": ()}, "expected an objective"),
        ({"objectives": ("val/top1", "val/top1")}, "no metric twice"),
        ({"watched": ("val/top1",)}, "no metric twice"),
        ({"objectives": ("val/top1", "val/ece")}, "expected none with more than one objective"),
        ({"sampler": "nsga2"}, "sampler: nsga2"),
        ({"pruner": "wilcoxon"}, "at least three seeds"),
        ({"constraints": {"val/top2": Bound(1.0, None)}}, "constraints.val/top2: no metric"),
        ({"grid": ("guide.augmentation",)}, "two different keys"),
        ({"grid": ("guide.augmentation", "guide.augmentation")}, "two different keys"),
        ({"grid": ("guide.augmentation", "guide.epochs")}, "keys of space"),
        ({"first": ({"guide.epochs": 3},)}, "first[0]: ['guide.epochs']"),
        ({"finals": Finals(1, (0,), (20, 21))}, "finals.seeds"),
        ({"finals": Finals(1, (20,), (20, 21))}, "finals.seeds"),
        ({"finals": Finals(1, (10,), (0, 21))}, "finals.seeds"),
    ],
)
def test_a_contradiction_is_named(changes, reason):
    assert reason in problems(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"objectives": ("val/top1", "real_labels"), "pruner": "none", "sampler": "nsga2"},
        {"objectives": ("val/top1", "val/ece"), "pruner": "none", "sampler": "tpe"},
        {"pruner": "wilcoxon", "seeds": (0, 1, 2)},
        {"shares": (1.0,)},
        {"grid": (), "first": ()},
        {"constraints": {"val/ece": Bound(None, 0.1)}},
    ],
)
def test_what_goes_together_is_no_problem(changes):
    assert problems(**changes) == ""


def test_what_is_measured_is_asked_once_objectives_first():
    study = replace(
        shipped()["tune"],
        objectives=("holdout",),
        watched=("val/ece",),
        constraints={"val/ece": Bound(None, 0.2), "val/top1": Bound(50.0, None)},
    )
    assert study.measured == ("holdout", "val/ece", "val/top1")


@pytest.mark.parametrize(
    ("interval", "reason"),
    [
        (SearchInterval(1.0, 1.0, None, log=False), "expected low below high"),
        (SearchInterval(2.0, 1.0, None, log=False), "expected low below high"),
        (SearchInterval(0.0, 1.0, 0.0, log=False), "step: 0"),
        (SearchInterval(0.0, 1.0, 1.5, log=False), "step: 1.5"),
        (SearchInterval(0.0, 1.0, None, log=True), "low above 0"),
        (SearchInterval(0.1, 1.0, 0.1, log=True), "step: null"),
    ],
)
def test_an_interval_without_values_is_named(interval, reason):
    assert reason in "\n".join(interval.problems())


def test_a_bound_binds_and_finals_have_seeds():
    assert list(Bound(None, None).problems())
    assert not list(Bound(0.0, None).problems())
    assert list(Finals(0, (1,), (2, 3)).problems())
    assert list(Finals(1, (), (2, 3)).problems())
    assert list(Finals(1, (1,), (2,)).problems())
    assert list(Finals(1, (1,), (2, 2)).problems())


def edited(before: str, after: str) -> str:
    text = DIGITS.read_text(encoding="utf-8")
    assert before in text
    return text.replace(before, after, 1)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("    sampler: nsga2", "    sampler: nsga3", "did you mean `nsga2`"),
        (
            "    objectives: [val/top1]",
            "    objectives: [test/top1]",
            r"objectives\[0\]: 'test/top1'",
        ),
        ("    objectives: [val/top1]", "    objectives: val/top1", "expected a list"),
        ("    method: prefix", "    method: prefixes", "did you mean `prefix`"),
        (
            "none, pytorch, dino]\n      guide.real_share",
            "nome]\n      guide.real_share",
            "'nome', expected",
        ),
        ("guide.real_share: {low", "guide.real_shares: {low", "did you mean `real_share`"),
        ("low: 0.1, high: 0.9, step: 0.1, log: false", "low: 0.1, high: 0.9", "step: missing"),
        ("low: 0.1, high: 0.9, step", "low: 0.1, high: 1.9, step", "real_share: 1.9"),
        ("    trials: 24", "    trials: 24.5", "trials: 24.5"),
        ("  labels:  # acc", "  tune:  # acc", "the name of the stage's own study"),
    ],
)
def test_params_yaml_with_a_wrong_study_is_refused_in_its_words(before, after, reason):
    with pytest.raises(ParamsError, match=reason) as caught:
        parse_params(edited(before, after), place="params.yaml")
    assert "nothing was run" in str(caught.value)


def test_nothing_of_a_study_says_test():
    """`test` is no metric: not as objective, constraint, or something watched."""
    assert not [name for name in METRICS if "test" in name]

from __future__ import annotations

from synthgap.cli.study_apply import KeyDifference, differences

THEN = {"guide": {"epochs": 12, "rg": {"lambda_1": 0.25}}, "seed": 0, "shares": [0.5, 1.0]}


def found(now: dict) -> list[KeyDifference]:
    return list(differences(THEN, now))


def test_equal_contents_have_no_differences():
    assert found({**THEN}) == []
    assert found({**THEN, "shares": (0.5, 1.0)}) == []
    assert found({**THEN, "seed": 0.0}) == []


def test_a_difference_is_named_by_its_key_with_both_values():
    now = {**THEN, "guide": {"epochs": 9, "rg": {"lambda_1": 0.5}}}
    assert found(now) == [
        KeyDifference("guide.epochs", "12", "9"),
        KeyDifference("guide.rg.lambda_1", "0.25", "0.5"),
    ]
    assert found({**THEN, "shares": [1.0]}) == [KeyDifference("shares", "[0.5, 1.0]", "[1.0]")]


def test_a_key_that_one_lacks_is_a_difference():
    assert found({**THEN, "new": None}) == [KeyDifference("new", "not there", "null")]
    fewer = {key: value for key, value in THEN.items() if key != "seed"}
    assert found(fewer) == [KeyDifference("seed", "0", "not there")]


def test_long_values_are_cut():
    [one] = found({**THEN, "seed": "x" * 100})
    assert len(one.now) == 60
    assert one.now.endswith("...")

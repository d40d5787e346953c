from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path

import pytest

from synthgap.errors import ParamsError
from synthgap.params import parse_params
from synthgap.params.editing import edited
from synthgap.params.overriding import overridden, value_at

ROOT = Path(__file__).resolve().parents[3]
WINNER = {
    "guide.image_set.guidance_scale": 3.0,
    "guide.augmentation": "dino",
    "guide.rg.lambda_1": 0.35,
    "guide.pg.lambda_3.kl": 2,
    "training.base_lr": 1.5,
    "training.local_crops.scale.0": 0.25,
    "protocols.low-shot.real_per_class": 7.0,
}


def text() -> str:
    return (ROOT / "recipes" / "digits.yaml").read_text(encoding="utf-8")


@cache
def won() -> tuple[str, list[str]]:
    result, changes = edited(text(), WINNER, place="params.yaml")
    return result, [str(change) for change in changes]


def changed_lines(before: str, after: str) -> list[tuple[str, str]]:
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    gone = [line[2:] for line in lines if line.startswith("- ")]
    come = [line[2:] for line in lines if line.startswith("+ ")]
    return list(zip(gone, come, strict=True))


def test_every_value_is_what_a_trial_had():
    given = parse_params(text(), place="x")
    read = parse_params(won()[0], place="x")
    assert read == overridden(given, WINNER, place="x")
    assert value_at(read, "guide.image_set.guidance_scale") == 3.0
    assert value_at(read, "protocols.low-shot.real_per_class") == 7


def test_only_lines_with_a_changed_value_change_and_keep_their_comments():
    pairs = changed_lines(text(), won()[0])
    assert len(pairs) == len(WINNER) + 1  # and the set's name in grid.synthetic_sets
    for before, after in pairs:
        assert before.partition("#")[2] == after.partition("#")[2]
        assert before.partition(":")[0] == after.partition(":")[0]
        if "#" in after:
            assert after.partition("#")[0].endswith("  ")


def test_changes_are_told_with_both_values():
    changes = won()[1]
    assert "guide.rg.lambda_1: 0.25 -> 0.35" in changes
    assert 'guide.image_set: "g2.0" -> "g3.0"' in changes
    assert "training.local_crops.scale.0: 0.3 -> 0.25" in changes
    assert "protocols.low-shot.real_per_class: 5 -> 7" in changes
    grid = next(line for line in changes if line.startswith("grid.synthetic_sets:"))
    assert grid.endswith(', "g3.0"]')


def test_the_second_time_nothing_changes():
    result = won()[0]
    assert edited(result, WINNER, place="params.yaml") == (result, [])


def test_back_again_gives_the_same_bytes_but_for_the_added_set():
    before = parse_params(text(), place="x")
    default = {key: value_at(before, key) for key in WINNER}
    back, _ = edited(won()[0], default, place="params.yaml")
    assert [after for _, after in changed_lines(text(), back)] == [
        line for line in won()[0].splitlines() if line.startswith("  synthetic_sets:")
    ]


def test_what_stands_there_changes_nothing():
    same = {"guide.augmentation": "pytorch", "guide.image_set.guidance_scale": 2}
    assert edited(text(), same, place="params.yaml") == (text(), [])


def test_a_set_that_is_there_is_not_added_twice():
    _, changes = edited(text(), {"guide.image_set.guidance_scale": 7.5}, place="params.yaml")
    assert [str(change) for change in changes] == ['guide.image_set: "g2.0" -> "g7.5"']


def test_a_whole_list_keeps_its_comment():
    result, _ = edited(text(), {"guide.seeds": (7, 8)}, place="params.yaml")
    [(before, after)] = changed_lines(text(), result)
    assert after == "  seeds: [7, 8]  #" + before.partition("#")[2]


def test_null_is_written_out():
    result, _ = edited(text(), {"guide.pg.tap": 3}, place="params.yaml")
    back, _ = edited(result, {"guide.pg.tap": None}, place="params.yaml")
    assert back == text()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"guide.rg.lamda_1": 0.5}, r"did you mean `lambda_1`"),
        ({"guide.rg.lambda_1": -1.0}, r"lambda_1: -1\.0"),
        ({"guide.augmentation": "dinno"}, r"'dinno', expected"),
        ({"guide.image_set.rival": "sd99"}, r"expected a rival of grid\.rivals"),
        ({"training.local_crops.scale.2": 0.5}, r"nothing is at '2'"),
        ({"guide.augmentation": "dino", "guide.epochs": 1}, r"epochs: 1"),
    ],
)
def test_what_cannot_be_run_is_refused_whole(values, reason):
    with pytest.raises(ParamsError, match=reason):
        edited(text(), values, place="params.yaml")


def test_a_study_whose_space_no_longer_fits_is_named():
    broken = text().replace("guide.prefix.depth: {low: 1.0", "guide.prefix.depth: {low: 0.0")
    assert broken != text()
    with pytest.raises(ParamsError, match=r"guide\.prefix\.depth"):
        edited(broken, {"guide.augmentation": "dino"}, place="params.yaml")


def test_block_lists_and_comments_of_the_user_stay():
    mine = text().replace("  synthetic_sets: [", "  # ask Ada\n  synthetic_sets: [", 1)
    result, _ = edited(mine, {"guide.image_set.guidance_scale": 3.0}, place="params.yaml")
    assert "  # ask Ada\n  synthetic_sets: [" in result

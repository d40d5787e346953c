from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthgap.cli import main
from synthgap.params import read_params

RECORD = Path("mlruns/studies/digits/quick/run.json")
TUNE = Path("artifacts/tune/digits/run.json")
PARAMS = Path("params.yaml")


def stdout_of(capsys, *command: str) -> str:
    assert main(["study", "apply", *command]) == 0
    return capsys.readouterr().out


def refusal(capsys, *command: str) -> str:
    assert main(["study", "apply", *command]) == 1
    return capsys.readouterr().err


def staged(**study) -> dict:
    """The finished study as the stage's, changed."""
    record = json.loads(RECORD.read_text())
    record["study"] |= {"name": "tune", **study}
    TUNE.parent.mkdir(parents=True, exist_ok=True)
    TUNE.write_text(json.dumps(record))
    return record


def winner(**tuned) -> dict:
    return {"trial": 6, "tuned": {name.replace("__", "."): tuned[name] for name in tuned}}


def test_the_winner_is_written_with_comments_kept(ended, capsys):
    before = PARAMS.read_text().splitlines()
    text = stdout_of(capsys, "quick")
    assert 'guide.image_set: "g2.0" -> "g1.0"' in text
    assert 'guide.augmentation: "pytorch" -> "dino"' in text
    assert "guide.rg.lambda_1: 0.25 -> 0.7" in text
    assert "3 values changed; `dvc repro` comes next" in text
    params = read_params(PARAMS)
    assert (params.guide.image_set, params.guide.augmentation) == ("g1.0", "dino")
    after = PARAMS.read_text().splitlines()
    pairs = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(pairs) == 3
    assert all(old.partition("#")[2] == new.partition("#")[2] for old, new in pairs)


def test_applying_twice_changes_nothing_the_second_time(ended, capsys):
    stdout_of(capsys, "quick")
    once = PARAMS.read_bytes()
    text = stdout_of(capsys, "quick")
    assert "has what study quick found; nothing was changed" in text
    assert PARAMS.read_bytes() == once


def test_a_dry_run_says_the_same_and_writes_nothing(ended, capsys):
    before = PARAMS.read_bytes()
    text = stdout_of(capsys, "quick", "--dry-run")
    assert 'guide.image_set: "g2.0" -> "g1.0"' in text
    assert "3 values would change, nothing was written" in text
    assert PARAMS.read_bytes() == before


def test_what_the_stage_found_is_applied_too_and_its_set_joins_the_grid(ended, capsys):
    staged(winner=winner(guide__image_set__guidance_scale=3.0, guide__prefix__depth=2.0))
    text = stdout_of(capsys, "tune")
    assert 'guide.image_set: "g2.0" -> "g3.0"' in text
    assert "guide.prefix.depth: 4 -> 2" in text
    assert "grid.synthetic_sets:" in text
    assert "g3.0" in read_params(PARAMS).grid.synthetic_sets


def test_applying_does_not_touch_what_the_stage_reads(ended, capsys):
    before = read_params(PARAMS).tune
    stdout_of(capsys, "quick")
    assert read_params(PARAMS).tune == before


def test_a_default_that_won_changes_nothing(ended, capsys):
    record = json.loads(RECORD.read_text())
    staged(winner={"trial": "default", "tuned": record["study"]["default"]})
    before = PARAMS.read_bytes()
    assert "the default won; nothing to apply" in stdout_of(capsys, "tune")
    assert PARAMS.read_bytes() == before


def test_a_study_without_a_winner_is_refused(ended, capsys):
    staged(winner=None)
    line = refusal(capsys, "tune")
    assert "no winner yet" in line
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("tuned", "reason"),
    [
        ({"guide__rg__lambda_9": 0.5, "guide__augmentation": "dino"}, "unknown key"),
        ({"guide__augmentation": "dino", "guide__real_share": 3.0}, "real_share: 3.0"),
        ({"guide__augmentation": "dino", "guide__image_set__rival": "sd99"}, "rival"),
    ],
)
def test_a_winner_that_does_not_fit_params_is_refused_whole(ended, capsys, tuned, reason):
    staged(winner=winner(**tuned))
    before = PARAMS.read_bytes()
    assert reason in refusal(capsys, "tune")
    assert PARAMS.read_bytes() == before
    assert not list(Path().glob(".params*"))


def test_where_params_differ_from_what_the_study_held_fixed_is_said(ended, capsys):
    assert "note:" not in stdout_of(capsys, "quick", "--dry-run")
    PARAMS.write_text(PARAMS.read_text().replace("  base_lr: 2.0", "  base_lr: 1.0", 1))
    [note] = [line for line in stdout_of(capsys, "quick").splitlines() if line.startswith("note:")]
    assert "training.base_lr 1.0 (study: 2.0)" in note
    assert read_params(PARAMS).training.base_lr == 1.0


def test_what_was_tuned_is_no_difference(ended, capsys):
    record = staged(winner=winner(training__base_lr=1.5, training__local_crops__scale__0=0.25))
    record["params"]["training"]["local_crops"]["scale"] = [0.1, 0.6]
    record["params"]["training"]["base_lr"] = 9.0
    TUNE.write_text(json.dumps(record))
    assert "note:" not in stdout_of(capsys, "tune")


def test_many_differences_are_one_line(ended, capsys):
    record = staged()
    names = ("momentum", "weight_decay", "base_lr", "epochs", "batch_size")
    record["params"]["training"] |= dict.fromkeys(names, 0.123)
    TUNE.write_text(json.dumps(record))
    [note] = [line for line in stdout_of(capsys, "tune").splitlines() if line.startswith("note:")]
    assert note.endswith("and 1 more")


def test_an_unreadable_params_file_is_left_alone(ended, capsys):
    PARAMS.write_text("recipe: [\n")
    assert "no valid YAML" in refusal(capsys, "quick")
    assert PARAMS.read_text() == "recipe: [\n"

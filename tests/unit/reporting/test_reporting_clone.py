from dataclasses import replace

import pytest

from synthgap.reporting.blocks import FigureBlock, TableBlock, Text
from synthgap.reporting.clone_figure import settings_figure
from synthgap.reporting.clone_section import clone_section
from synthgap.reporting.published import published, published_setting
from synthgap.reporting.record_names import (
    base_setting,
    companion,
    find_one,
    is_plain,
    row_name,
    select,
    set_name,
    setting_records,
    without_size,
)

MINUS = "\N{MINUS SIGN}"


def tables(summary):
    return [block for block in clone_section(summary).blocks if isinstance(block, TableBlock)]


def without(summary, *experiments):
    kept = [row for row in summary.records if row["experiment"] not in experiments]
    return replace(summary, records=kept)


def test_a_row_is_a_generator_and_prompts_and_a_column_a_guidance_scale(summary):
    table = tables(summary)[0]
    assert table.headers[4:] == ["guidance 1", "guidance 2", "guidance 7.5"]
    assert [row[:4] for row in table.rows] == [
        ["own", "name in a sentence", "25", "600"],
        ["own", "name, definition", "25", "600"],
        ["dit", "\N{EM DASH}", "25", "600"],
    ]
    probe = find_one(summary.records, set="g2.0-definition", metric="probe/top1", over="seeds")
    assert table.rows[1][4] == table.rows[1][6] == "\N{EM DASH}"
    assert f"{probe['mean']:.1f}" in table.rows[1][5]
    assert table.rows[1][5].endswith("(3)")


def test_settings_are_held_against_the_set_that_the_recipe_uses(summary):
    base = base_setting(summary.top1)
    assert base["set"] == "g2.0"
    found = select(summary.comparisons, kind="setting", metric="test/top1")
    assert {row["right"] for row in found} == {row_name(base)}
    assert [row["left"].removeprefix("trained on ").removesuffix(" (clone)") for row in found] == [
        set_name(name) for name in ("g1.0", "g7.5", "g2.0-definition", "dit-g2.0")
    ]
    for row in found:
        left, right = (
            find_one(summary.top1, **_named(summary, row[side])) for side in ("left", "right")
        )
        assert row["difference_pp"] == pytest.approx(left["mean"] - right["mean"], abs=1e-3)
        assert row["low"] <= row["difference_pp"] <= row["high"]


def _named(summary, name):
    row = next(row for row in summary.top1 if row_name(row) == name)
    return {key: row[key] for key in ("experiment", "set", "fraction")}


def test_probes_are_compared_too_and_each_by_its_own_numbers(summary):
    found = select(summary.comparisons, kind="setting", metric="probe/top1")
    assert len(found) == 4
    row = next(row for row in found if "dit" in row["left"])
    left = find_one(summary.records, set="dit-g2.0", metric="probe/top1", over="seeds")
    right = companion(summary.records, base_setting(summary.top1), "probe/top1")
    assert row["difference_pp"] == pytest.approx(left["mean"] - right["mean"], abs=1e-3)
    assert left["low"] <= left["mean"] <= left["high"]


def test_fitymis_numbers_stand_beside_the_same_prompts_and_guidance(summary):
    numbers = {row[0]: row[-1] for row in tables(summary)[1].rows}
    assert numbers["real"] == "87.4"
    assert numbers[set_name("g2.0")] == "63.5"
    assert numbers[set_name("g7.5")] == f"43.1 ({MINUS}20.4)"
    assert numbers[set_name("g2.0-definition")] == "64.8 (+1.3)"
    assert numbers[set_name("dit-g2.0")] == numbers[set_name("g1.0")] == "\N{EM DASH}"


def test_other_steps_or_sizes_are_no_row_of_fitymis():
    row = {"source": "synthetic", "generator": "main", "scheme": "name", "guidance_scale": 2.0}
    assert published_setting({**row, "set": "g2.0-name"}) == 63.5
    assert published_setting({**row, "set": "g2.0-name-s10"}) is None
    assert published_setting({**row, "set": "g2.0-name-x10"}) is None


def test_a_set_that_both_stages_have_is_shown_once_and_by_train(summary):
    clone = find_one(summary.top1, experiment="clone", set="g2.0", fraction=0.25)
    doubled = [*summary.top1, {**clone, "fraction": 1.0}]
    found = [row for row in setting_records(doubled) if row["set"] == "g2.0"]
    assert [row["experiment"] for row in found] == ["train"]
    assert len({row_name(row) for row in [*summary.top1, *doubled[-1:]]}) == len(doubled)


def test_names_tell_the_plain_set_and_the_line_of_a_size():
    assert [is_plain(name) for name in ("g2.0", "g7.5", "g2.0-x4", "dit-g2.0", "dit", "train")] == [
        *(True, True, False, False, False, False)
    ]
    assert without_size("g2.0-definition-x10") == "g2.0-definition"
    assert without_size("dit-g2.0") == "dit-g2.0"


def test_the_figure_has_the_real_curve_of_the_baselines_and_the_parts(summary):
    drawing = settings_figure(summary)
    assert drawing.kind == "settings"
    assert drawing.png.startswith(b"\x89PNG")


def test_the_introduction_says_what_probes_cost(summary):
    text = clone_section(summary).blocks[0]
    assert isinstance(text, Text)
    assert "from 600 real training images" in text.text


def test_without_clones_students_of_train_still_fill_the_tables(summary):
    bare = without(summary, "clone")
    assert settings_figure(bare) is None
    assert [row[1] for row in tables(bare)[0].rows] == ["name in a sentence"]


def test_with_nothing_run_the_section_says_so(summary):
    picture, folded = clone_section(without(summary, "clone", "train")).blocks
    assert isinstance(picture, FigureBlock)
    assert "not run" in picture.html()
    assert "72.4" in folded.html()
    assert "70.4" in folded.html()


def test_clones_change_no_other_figure(summary):
    bare = without(summary, "clone")
    assert bare.donor == summary.donor
    assert bare.synthetic == summary.synthetic
    assert bare.arms == summary.arms


def test_sizes_and_probes_name_where_they_were_printed():
    sizes = published()["guidance"][0]["top1_by_size"]
    assert sizes["rows"][0][1] == 64.8
    assert all(table["paper"] == "FITYMI" and table["table"] for table in published()["probes"])

from dataclasses import replace

import pytest
from made_up_guide import FEW, UNLABELLED

from synthgap.reporting.blocks import FigureBlock
from synthgap.reporting.guide_figure import guide_figure
from synthgap.reporting.guide_published import (
    base_method,
    by_protocol,
    guidance_table,
    is_low_shot,
    published_cell,
    published_differences,
    published_methods,
    published_tables,
)
from synthgap.reporting.guide_section import guide_section, guide_sentences, guide_table
from synthgap.reporting.published import published
from synthgap.reporting.recipe_sections import headline
from synthgap.reporting.record_names import METHOD_NAMES, row_name, select

DASH = "\N{EM DASH}"


def _tables(summary):
    return [guide_table(summary, rows) for rows in by_protocol(summary.top1).values()]


def _without(summary):
    kept = [row for row in summary.records if row["experiment"] != "guide"]
    held = [row for row in summary.comparisons if row["kind"] != "guidance"]
    return replace(summary, records=kept, comparisons=held)


def _verdicts(summary, **verdicts):
    """The summary with other verdicts of low-shot methods."""
    changed = [
        {**row, "verdict": verdicts.get(str(row["method"]).replace("-", "_"), row["verdict"])}
        if row["protocol"] == "low-shot" else row
        for row in summary.comparisons
    ]  # fmt: skip
    return replace(summary, comparisons=changed)


def test_a_protocol_is_a_table_in_the_order_of_the_published_ones(summary):
    zero, low = _tables(summary)
    assert [row[0] for row in zero.rows] == [
        METHOD_NAMES[name] for name in ("bound", "synthetic", "asg", "csg", "pg-l1", "pg-kl")
    ]
    assert [row[0] for row in low.rows][:3] == [
        METHOD_NAMES[name] for name in ("real", "synthetic", "adaptation")
    ]
    assert [row[0] for row in low.rows][-1] == METHOD_NAMES["rg-pg"]


def test_every_row_says_how_many_real_images_and_labels_it_had(summary):
    found = {row[0]: row[1:3] for row in _tables(summary)[1].rows}
    for name in UNLABELLED:
        assert found[METHOD_NAMES[name]] == [f"{FEW}", "700 / 0 / 0"]
    assert found[METHOD_NAMES["rg"]] == [f"{FEW}", f"700 / 0 / {FEW}"]
    assert found[METHOD_NAMES["synthetic"]] == ["0", "700 / 0 / 0"]
    assert found[METHOD_NAMES["real"]] == [f"{FEW}", f"0 / 0 / {FEW}"]


def test_labels_behind_a_reference_that_nobody_knows_are_a_question_mark(summary):
    rows = [
        {**row, "real_labels": {**row["real_labels"], "reference": None}}
        if row["method"] == "asg" else row
        for row in summary.records
    ]  # fmt: skip
    found = {row[0]: row[2] for row in _tables(replace(summary, records=rows))[1].rows}
    assert found[METHOD_NAMES["asg"]] == f"700 / ? / {FEW}"


def test_a_single_run_is_told_without_an_interval(summary):
    found = {row[0]: row for row in _tables(summary)[1].rows}
    adda = found[METHOD_NAMES["adda"]]
    assert adda[3].endswith("(single run)")
    assert "[" not in adda[5]
    assert adda[6:8] == [DASH, "single run"]
    rg = found[METHOD_NAMES["rg"]]
    assert rg[3].endswith(" (5)")
    assert "[" in rg[5]
    assert rg[7] == "beats it"
    assert found[METHOD_NAMES["adaptation"]][7] == "below it"
    assert found[METHOD_NAMES["pooled"]][7] == "base"


def test_a_sentence_a_protocol_says_who_beats_and_who_falls_below(summary):
    zero, low = guide_sentences(summary)
    assert zero.startswith("Zero-shot: of 2 methods with 5 paired seeds, PG-F (KL) +")
    assert "points beats synthetic alone" in zero
    assert low.startswith(f"Low-shot, {FEW} real labels: of 5 methods with 5 paired seeds, RG +")
    assert "points beat pooling; adaptation in two stages" in low
    assert low.endswith("10 more are single runs.")
    assert low in headline(summary)


def test_none_is_said_where_none_beats_pooling(summary):
    flat = _verdicts(summary, rg="not resolved", rg_pg="not resolved", adaptation="not resolved")
    low = guide_sentences(flat)[-1]
    assert "5 paired seeds, none beats pooling; 10 more" in low


def test_single_runs_alone_decide_nothing(summary):
    every = dict.fromkeys(("rg", "rg_pg", "adaptation", "a_gem", "pg"), "single run")
    low = guide_sentences(_verdicts(summary, **every))[-1]
    assert low.endswith("no method has more than one seed in common with pooling.")


def test_students_of_other_images_are_no_methods(summary):
    real = _verdicts(summary, real="holds", synthetic="holds")
    assert guide_sentences(real) == guide_sentences(summary)


def test_where_real_images_are_beside_synthetic_ones_pooling_is_the_base(summary):
    protocols = by_protocol(summary.top1)
    assert {name: is_low_shot(rows) for name, rows in protocols.items()} == {
        "zero-shot": False, "low-shot": True
    }  # fmt: skip
    assert [base_method(rows) for rows in protocols.values()] == ["synthetic", "pooled"]


def test_the_published_bound_stands_beside_the_bound_and_not_beside_few_images():
    table = guidance_table("4")
    assert published_cell(table, "bound") == "91.80 / 91.80"
    assert published_cell(table, "real") == published_cell(table, "asg") == DASH
    assert table["real_labels"]["bound"] == 45_000
    assert {name: table["real_labels"][name] for name in UNLABELLED} == {"adda": 0, "dada": 0}


@pytest.mark.parametrize(
    ("low_shot", "init", "names"),
    [
        (True, "random", ["4"]),
        (True, "pretrained", ["4"]),
        (False, "random", ["2 (A)", "3"]),
        (False, "reference", ["2 (B)"]),
        (False, "pretrained", ["2 (B)"]),
    ],
)
def test_zero_shot_tables_differ_by_where_students_begin(low_shot, init, names):
    found = published_tables(low_shot=low_shot, init=init)
    assert [table["table"] for table in found] == names


def test_published_differences_are_to_the_same_tables_base():
    (table,) = published_tables(low_shot=True, init="random")
    found = published_differences([table], "rg")
    assert len(found) == 9
    assert found[:2] == pytest.approx([86.91 - 85.71, 80.33 - 79.38])
    assert published_differences([guidance_table("3")], "pg-kl") == pytest.approx([1.56, 3.53])
    assert published_differences([guidance_table("2 (A)")], "csg")[2] == pytest.approx(1.41 - 12.30)
    assert (
        len(published_differences([guidance_table("2 (A)")], "bound")) == 6
    )  # three cells are lost
    assert published_differences([table], "asg") == []


def test_every_published_row_has_a_method_that_is_named():
    for table in published()["guiding"][1:]:
        assert {row[1] for row in table["rows"]} <= set(METHOD_NAMES)
        assert set(table["real_labels"]) == {row[1] for row in table["rows"]}


def test_the_figure_is_drawn_where_something_was_held(summary):
    assert guide_figure(summary).png.startswith(b"\x89PNG")
    assert guide_figure(_without(summary)) is None


def test_nothing_run_is_one_line_beside_the_published_tables(summary):
    bare = _without(summary)
    first, *rest = guide_section(bare).blocks
    assert isinstance(first, FigureBlock)
    assert "not run" in first.html()
    assert "ADDA and DADA look at real images" in rest[1].html()
    assert rest[-1].title == published_methods().title
    assert guide_sentences(bare) == []


def test_methods_change_no_other_figure_and_no_other_name(summary):
    bare = _without(summary)
    assert bare.donor == summary.donor
    assert bare.arms == summary.arms
    names = [row_name(row) for row in summary.top1]
    assert len(names) == len(set(names))
    assert select(summary.top1, experiment="guide", protocol="low-shot", method="rg")

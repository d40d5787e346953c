from dataclasses import replace

import pytest

from synthgap.reporting.ablation_section import CAVEAT, ablations_section, forest_figure
from synthgap.reporting.ablations import QUESTIONS, ablation_rows, ablation_sentences, source_rows
from synthgap.reporting.blocks import ImageBlock, TableBlock, Text
from synthgap.reporting.comparisons import comparisons
from synthgap.reporting.figures import top1_grid
from synthgap.reporting.published import published
from synthgap.reporting.record_names import find_one, row_name, select, set_name, variant_name
from synthgap.reporting.records import Resampling, SeriesPanel, records

HOW = Resampling(resamples=200, confidence=0.95, seed=1)
MINUS = "\N{MINUS SIGN}"


def _compared(summary, **place):
    return {
        row["left"]: row["right"] for row in select(summary.comparisons, kind="ablation", **place)
    }


def test_a_change_is_held_against_the_student_without_it(summary):
    synthetic, moved = "trained on synthetic, guidance 2", "synthetic → real, first 4 frozen"
    assert set(_compared(summary, ablation="normalisation").values()) == {
        "trained on real", synthetic
    }  # fmt: skip
    assert _compared(summary, ablation="stylised") == {
        "trained on real, stylised": "trained on real",
        f"{synthetic}, stylised": synthetic,
    }
    assert _compared(summary, ablation="oracle", variant="oracle") == {
        "trained on synthetic, prompted by real images": synthetic
    }
    assert _compared(summary, variant="mixed 0.5") == {
        "trained on real and synthetic, guidance 2, 50 % real": synthetic,
        "synthetic → mixed, first 4 frozen, 50 % real": moved,
    }


def test_chosen_subsets_are_held_against_the_random_one(summary):
    found = _compared(summary, variant="coreset")
    cut = "first 4 frozen from synthetic, 1/8 of the real"
    assert found == {f"{cut}, a coreset": f"{cut}, at random"}
    assert not _compared(summary, variant="random")


def test_sources_stand_below_what_they_are_held_against(summary):
    found = [(row["variant"], difference is None) for row, difference in source_rows(summary)]
    assert found == [
        *((None, True), ("mixed 0.5", False), (None, True), ("mixed 0.5", False)),
        *(("random", True), ("stratified", False), ("uncertainty", False), ("coreset", False)),
    ]


def test_no_two_students_share_a_name(summary):
    names = [row_name(row) for row in summary.top1]
    assert len(names) == len(set(names))


def test_ablations_change_no_other_number_and_no_other_figure(series, summary):
    rest = [each for each in series if each.at.experiment != "ablate"]
    panel = SeriesPanel(rest, HOW)
    whole = SeriesPanel(series, HOW)
    assert records(panel) == [row for row in records(whole) if row["experiment"] != "ablate"]
    assert comparisons(panel) == [row for row in comparisons(whole) if row["kind"] != "ablation"]
    bare = replace(
        summary, records=[row for row in summary.records if row["experiment"] != "ablate"]
    )
    assert bare.arms == summary.arms
    assert bare.donor == summary.donor
    assert top1_grid(bare) == top1_grid(summary)


@pytest.mark.parametrize("key", [question.key for question in QUESTIONS])
def test_every_question_says_what_changed_in_one_sentence(key):
    (question,) = [each for each in QUESTIONS if each.key == key]
    assert question.changed.startswith("Changed: ")
    assert question.changed.count(".") == question.changed.endswith(".")


def test_the_unchanged_student_stands_above_its_changes(summary):
    found = ablation_rows(summary, "augmentation")
    assert [each.side for each in found] == ["real"] * 6 + ["synthetic"] * 6
    for first in (found[0], found[6]):
        assert first.difference is None
        assert first.label == "DINO multi-crop"
    assert found[0].row == summary.real
    assert all(each.difference for each in [*found[1:6], *found[7:]])


def _published(summary, key):
    return {
        (each.side, each.label): each.published_difference for each in ablation_rows(summary, key)
    }


def test_published_differences_are_to_the_published_row_without_the_change(summary):
    found = _published(summary, "augmentation")
    assert found["real", "no augmentation"] == pytest.approx(70.1 - 87.8)
    assert found["synthetic", "PixMix"] == pytest.approx(61.8 - 64.8)
    assert found["real", "DINO multi-crop"] is None
    assert _published(summary, "oracle")[
        "synthetic", "prompted by real images"
    ] == pytest.approx(66.6 - 40.3)  # fmt: skip


def test_published_differences_follow_the_augmentation_that_a_recipe_has(summary):
    training = {**summary.about["training"], "augmentation": "pytorch"}
    other = replace(summary, about={**summary.about, "training": training})
    found = _published(other, "augmentation")
    assert found["real", "no augmentation"] == pytest.approx(70.1 - 86.2)


def test_what_is_resolved_is_named_with_its_points(summary):
    text = ablation_sentences(summary, "stylised")
    assert text.startswith("Differences resolved from zero: 2 of 2; in points: ")
    assert f"stylised {MINUS}1" in text
    flat = [{**row, "verdict": "not resolved"} for row in summary.comparisons]
    assert ablation_sentences(replace(summary, comparisons=flat), "stylised").endswith(
        "zero: none of 2."
    )
    assert ablation_sentences(replace(summary, comparisons=[]), "stylised") is None


def _after(section, title):
    """The blocks under a heading, up to the next one."""
    texts = [block.text if hasattr(block, "text") else None for block in section.blocks]
    start = texts.index(title)
    titles = {question.title for question in QUESTIONS}
    ends = [index for index, text in enumerate(texts) if index > start and text in titles]
    return section.blocks[start + 1 : ends[0] if ends else None]


def _title(key):
    return next(question.title for question in QUESTIONS if question.key == key)


def test_the_oracle_stands_beside_its_caveat(summary):
    blocks = _after(ablations_section(summary), _title("oracle"))
    assert any(isinstance(block, Text) and CAVEAT in block.text for block in blocks)
    about = {**summary.about, "oracle_caveat": "It has seen train."}
    blocks = _after(ablations_section(replace(summary, about=about)), _title("oracle"))
    assert any(isinstance(block, Text) and "It has seen train." in block.text for block in blocks)


def test_stylised_sets_are_shown_before_and_after(summary):
    blocks = _after(ablations_section(summary), _title("stylised"))
    assert [block.png for block in blocks if isinstance(block, ImageBlock)] == [
        summary.photos["stylised"]
    ]
    texture = [block for block in blocks if isinstance(block, TableBlock)][-1]
    numbers = ["0.91", "0.12", "0.90", "0.84", "0.20"]
    assert texture.rows == [["real", *numbers], ["synthetic, guidance 2", *numbers]]


def test_without_ablations_the_section_says_not_run(summary):
    rows = [row for row in summary.records if row["experiment"] != "ablate"]
    bare = replace(summary, records=rows, comparisons=[])
    assert forest_figure(bare) is None
    (picture, folded) = ablations_section(bare).blocks
    assert "not run" in picture.html()
    assert "Tables 1 to 5" in folded.title


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train-stylised", "real, stylised"),
        ("g7.5-stylised", "synthetic, guidance 7.5, stylised"),
        ("train+g2.0", "real and synthetic, guidance 2"),
        (
            "g2.0-definition-s10-x4",
            "synthetic, guidance 2, prompts: name, definition, 10 steps, 4 times as many",
        ),
        ("dit-g2.0", "synthetic, by dit, guidance 2"),
        ("biggan", "synthetic, by biggan"),
    ],
)
def test_set_names_are_read_to_the_reader(name, text):
    assert set_name(name) == text


def test_a_variant_without_a_name_is_shown_as_it_is():
    assert variant_name("mixed 0.25") == "25 % real"
    assert variant_name("mystery") == "mystery"


def test_every_published_variant_has_a_name_and_a_base():
    for table in published()["ablations"]:
        assert find_one(table["rows"] and [table], ablation=table["ablation"])
        bases = [row for row in table["rows"] if row[1] == table["base"]]
        assert {row[0] for row in bases} == {row[0] for row in table["rows"]}
        assert all(variant_name(row[1]) != row[1] for row in table["rows"] if row[1] != "stylised")

from copy import deepcopy
from dataclasses import replace

import pytest
from made_up_gap import SETS

from synthgap.reporting.blocks import FoldedBlocks, ImageBlock, TableBlock, Text
from synthgap.reporting.gap import (
    GapNumbers,
    curves_figure,
    gap_sentences,
    losses_figure,
    sheets_of,
    split_figure,
)
from synthgap.reporting.gap_section import cross_table, gap_section, loss_table, split_table
from synthgap.reporting.record_names import select, set_name

DASH = "\N{EM DASH}"


@pytest.fixture(scope="module")
def blocks(summary):
    return gap_section(summary).blocks


@pytest.fixture
def gap(summary):
    return GapNumbers(deepcopy(dict(summary.gap.content)))


def _sampling(summary):
    return select(summary.comparisons, kind="sampling")


def test_a_row_is_what_was_learned_and_a_column_what_was_scored(gap):
    table = cross_table(gap)
    assert [row[0] for row in table.rows] == [set_name(name) for name in SETS]
    assert [row[1:4] for row in table.rows][1] == [
        f"{top1:.1f} \N{PLUS-MINUS SIGN} 0.3" for top1 in (90.5, 99.0, 98.5)
    ]
    assert table.rows[2][-2:] == ["2", "epoch 16.0 \N{PLUS-MINUS SIGN} 0.3"]


def test_the_published_table_stands_beside_ours(blocks):
    first, second = [block for block in blocks if isinstance(block, TableBlock)][:2]
    assert first.caption.startswith("Ours; 600 images of real")
    assert second.rows[0] == ["Classifier Trained on Real", "96.34", "93.54", "98.68"]


def test_what_a_set_says_is_one_sentence(gap):
    first, second, *rest = gap_sentences(gap, [])
    assert first.startswith("Synthetic, guidance 2: students of real images are right on 93.0 %")
    assert "students of these on 90.5 % of the real ones (99.5 % by their own)" in first
    assert "17 % of the real images have none of these near them (content)" in first
    assert "12 % of these lie off the real manifold (quality)" in first
    assert "0.70 times the share" in first
    assert second.startswith("Synthetic, guidance 7.5")
    assert rest == []


def test_numbers_that_a_set_lacks_are_left_out(gap):
    gap.content["content"]["g2.0"] = {"coverage": None, "recall": None}
    gap.content["quality"].pop("g2.0")
    gap.content["appearance"]["g2.0"]["high_share"] = None
    first = gap_sentences(gap, [])[0]
    assert first.endswith("(99.5 % by their own).")
    rows = {row[0]: row[2:] for row in split_table(gap).rows}
    assert rows[set_name("g2.0")] == [DASH] * 5
    assert split_figure("digits", gap).png.startswith(b"\x89PNG")


def test_what_samples_do_is_said_with_those_that_are_resolved(summary, gap):
    found = _sampling(summary)
    flat = [{**row, "verdict": "not resolved"} for row in found]
    assert gap_sentences(gap, flat)[-1].endswith("resolved from these alone: none of 6.")
    left = next(row["left"] for row in found if "highest" in row["left"])
    one = [{**row, "verdict": "holds" if row["left"] == left else "not resolved"} for row in found]
    text = gap_sentences(gap, one)[-1]
    assert "1 of 6: real and synthetic, guidance 2, highest loss +" in text
    assert text.endswith(" points.")


def test_losses_are_drawn_for_every_classifier_on_shared_edges(gap):
    assert len(loss_table(gap).rows) == len(SETS) ** 2
    assert loss_table(gap).headers[4] == "5 % quantile"
    assert losses_figure("digits", gap).png.startswith(b"\x89PNG")
    gap.content["cross_entropy"]["edges"] = [index / 10 for index in range(41)]
    assert losses_figure("digits", gap).png.startswith(b"\x89PNG")  # evenly spaced
    gap.content["cross_entropy"]["pairs"] = []
    assert losses_figure("digits", gap) is None


def test_curves_are_drawn(gap):
    assert "saturation" in curves_figure("digits", gap).kind


def test_sheets_of_low_and_high_loss_are_shown(summary, blocks):
    photos = [block for block in blocks if isinstance(block, ImageBlock)]
    assert [photo.path for photo in photos] == [
        f"figures/digits/gap-{loss}-{name}.png" for name in SETS[1:] for loss in ("low", "high")
    ]
    assert all(photo.png for photo in photos)
    assert sheets_of(summary.gap.content) == {photo.path[19:] for photo in photos}


def test_real_sheets_are_folded(summary, gap):
    gap.content["sheets"]["low"]["train"] = "low-train.png"
    blocks = gap_section(replace(summary, gap=gap)).blocks
    assert [block.title for block in blocks if isinstance(block, FoldedBlocks)] == [
        "The same of real images"
    ]


def test_samples_have_a_table_with_both_differences(blocks):
    tables = [block for block in blocks if isinstance(block, TableBlock)]
    sampling, added = tables[-2:]
    rows = {row[0]: row for row in sampling.rows}
    assert next(iter(rows)) == "real"
    random = rows["real and synthetic, guidance 2, at random"]
    assert random[1:3] == ["700 / 0 / 600", "2"]
    assert random[-2:] == [DASH, DASH]
    low = rows["real and synthetic, guidance 2, lowest loss"]
    assert "[" in low[4]
    assert "[" in low[-1]
    assert added.rows[0] == ["synthetic, guidance 2", "lowest loss", "300", "0.050"]


def test_not_run_is_one_line_beside_the_published_table(summary):
    text, table = gap_section(replace(summary, gap=None)).blocks
    assert isinstance(text, Text)
    assert text.text.startswith("not run")
    assert len(table.rows) == 3

"""Fidelity and diseases: what the section says, in which order, and beside what."""

from dataclasses import replace

import pytest

from synthgap.reporting.fidelity import FidelityNumbers, class_accuracy, fidelity_sentences
from synthgap.reporting.fidelity_section import disease_table, fidelity_section, set_table


@pytest.fixture(scope="module")
def found(summary):
    return summary.fidelity


@pytest.fixture(scope="module")
def text(summary):
    return "".join(block.html() for block in fidelity_section(summary).blocks)


def test_the_real_reference_comes_before_every_set(found):
    table = set_table(found)
    assert [row[0] for row in table.rows] == [
        "real: corpus against train",
        "synthetic, guidance 1",
        "synthetic, guidance 2",
        "synthetic, guidance 7.5",
    ]
    assert "features of the judge, trained on corpus" in table.caption
    cells = dict(zip(table.headers, table.rows[2], strict=True))
    assert cells["FID \N{DOWNWARDS ARROW}"] == "8.00"
    diseases = disease_table(found)
    cells = dict(zip(diseases.headers, diseases.rows[2], strict=True))
    assert cells["CLIP score (real) \N{UPWARDS ARROW}"] == "0.400 (0.400)"
    assert diseases.rows[3][-1] == "\N{EM DASH}"  # a set without prompts


def test_the_worst_class_of_all_comes_first_with_its_prompt(found, text):
    rows = found.worst(2)
    assert [(row.set, row.class_name) for row in rows] == [("g7.5", "1"), ("g7.5", "0")]
    assert rows[0].prompts == ("a <1> | of g7.5",)
    assert "a &lt;1&gt; | of g7.5" in text
    assert [row.class_name for row in found.rows("g2.0")] == ["1", "0", "2"]


def test_an_accuracy_gap_is_real_minus_synthetic_students_per_class(found, series, cells):
    accuracy = found.accuracy
    assert {"train", "g2.0"} <= set(accuracy)
    images = [f"{index % 3}/{index:04d}.png" for index in range(120)]
    ordered = sorted(images)
    real = next(one for one in series if one.at.experiment == "train" and one.at.set == "train")
    own = [share for path, share in zip(ordered, real.shares, strict=True) if path[0] == "1"]
    assert accuracy["train"]["1"] == pytest.approx(100 * sum(own) / len(own), abs=0.01)
    assert class_accuracy(series, ordered)["train"] == accuracy["train"]
    row = found.rows("g7.5")[0]
    assert row.gap_pp == pytest.approx(accuracy["train"]["1"] - accuracy["g7.5"]["1"])
    assert found.gap("g2.0-definition", "1") is not None  # by students of stage `clone`
    assert found.gap("g9.0", "1") is None


def test_sentences_name_the_nearest_the_least_diverse_and_the_worst(found):
    nearest, diverse, worst = fidelity_sentences(found)
    assert "synthetic, guidance 1 is nearest to the real training images (4.0)" in nearest
    assert "guidance 7.5 farthest (16.0)" in nearest
    assert "real images score 0.8" in nearest
    assert "guidance 7.5: its images lie 0.60 times as far" in diverse
    assert "is 1 of synthetic, guidance 7.5: 40 % of its images (of real ones 97 %)" in worst


def test_every_sheet_is_in_the_page_and_beside_the_report(reported, found, text):
    assert text.count("data:image/png;base64") == 6
    folder = reported.report / "figures" / "digits"
    for entry in found.sets.values():
        for sheet in entry["sheets"].values():
            assert (folder / f"fidelity-{sheet}").is_file()
    page = (reported.report / "report.md").read_text()
    assert "figures/digits/fidelity-worst-g7.5.png" in page


def test_the_network_is_named_for_what_it_is(summary, found, text):
    assert "in-domain network" in text
    network = {"kind": "timm", "name": "resnet50, weights from the hub"}
    judge = {"learned_from": None, "real_labels": None}
    content = {**found.content, "feature_network": network, "judge": judge}
    other = replace(summary, fidelity=FidelityNumbers.of(content))
    page = "".join(block.html() for block in fidelity_section(other).blocks)
    assert "in-domain network" not in page
    assert "features of resnet50, weights from the hub" in page
    assert "was made elsewhere" in page


def test_a_class_without_images_and_a_stage_that_was_not_run_are_said_so(summary, found):
    sets = dict(found.content["sets"])
    numbers = dict.fromkeys(sets["g1.0"]["classes"]["0"])
    empty = {**numbers, "num_images": 0, "taken_for": []}
    sets["g1.0"] = {**sets["g1.0"], "classes": {**sets["g1.0"]["classes"], "0": empty}}
    bare = FidelityNumbers.of({**found.content, "sets": sets})
    assert bare.rows("g1.0")[-1].class_name == "0"
    assert "not run" in fidelity_section(replace(summary, fidelity=None)).blocks[0].html()

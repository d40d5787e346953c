import json
import os
from pathlib import Path

import pytest

from synthgap.evaluation import fit_log2
from synthgap.reporting.published import published

DATA = Path(os.environ.get("SYNTHGAP_TEST_DATA", Path(__file__).parents[4] / "shared"))
TABLES = DATA / "published.json"


def test_the_printed_fit_is_base_2_over_one_by_fraction():
    rows = next(t for t in published()["reduce"] if t["table"] == "10a")["top1_by_denominator"]
    found = fit_log2([1 / row[0] for row in rows], [row[1] for row in rows])
    assert found.slope == pytest.approx(-2.225, abs=5e-4)
    assert found.intercept == pytest.approx(85.60, abs=5e-3)
    printed = published()["printed_fit"]
    assert found.slope == pytest.approx(printed["slope"], abs=0.01)
    assert found.intercept == pytest.approx(printed["intercept"], abs=0.02)


def test_every_table_names_its_paper_dataset_and_student():
    tables = [*published()["transfer"], *published()["reduce"], *published()["guidance"]]
    tables += published()["guiding"]
    for table in tables:
        assert table["paper"] in published()["papers"]
        assert table["table"]
        assert table["dataset"]
        assert table["student"]


@pytest.mark.skipif(not TABLES.is_file(), reason=f"{TABLES} is absent (SYNTHGAP_TEST_DATA)")
def test_numbers_are_the_papers():
    theirs = {(t["paper"], t["table"]): t["rows"] for t in json.loads(TABLES.read_text())["tables"]}

    def printed(table, key):
        rows = theirs["mind_the_gap", table]
        return [
            [row[key], row["values"][0]["mean"], row["values"][0]["std"]]
            for row in rows if key in row
        ]  # fmt: skip

    for table in published()["transfer"]:
        assert table["top1_by_depth"] == printed(table["table"], "n_frozen")
    for table in published()["reduce"]:
        key = "real_fraction_denominator"
        assert table["top1_by_denominator"] == printed(table["table"], key)
    for table in published()["guidance"]:
        rows = [r for r in theirs["fitymi", "1"] if r["train_set"] == f"{table['dataset']}-SD"]
        ours = [(row[0], row[2]) for row in table["top1_by_scale_and_prompt"]]
        assert ours == [
            (row["guidance_scale"], row["values"][0])
            for row in rows
            if row["relative_size"] == "1x"
        ]
    sizes = published()["guidance"][0]["top1_by_size"]
    ours = {(row[0], row[1]) for row in sizes["rows"]}
    assert ours <= {
        (float(row["relative_size"].rstrip("x")), row["values"][0])
        for row in theirs["fitymi", "1"]
        if row["guidance_scale"] == sizes["guidance_scale"]
    }
    averages = {row["values"][-1] for row in theirs["fitymi", "2"]}
    assert {row[-1] for row in published()["probes"][0]["rows"]} <= averages
    assert (
        published()["probes"][1]["rows"][0][-1] == theirs["fitymi", "text"][0]["values"][0]["mean"]
    )


@pytest.mark.skipif(not TABLES.is_file(), reason=f"{TABLES} is absent (SYNTHGAP_TEST_DATA)")
def test_guiding_numbers_are_the_papers():
    theirs = {(t["paper"], t["table"]): t["rows"] for t in json.loads(TABLES.read_text())["tables"]}
    begins = {"2 (A)": "scratch", "2 (B)": "imagenet"}
    for table in published()["guiding"]:
        number = table["table"][0]
        rows = [
            row["values"]
            for row in theirs["pg_rg", number]
            if row.get("init") == begins.get(table["table"])
        ]
        assert [values for _, _, *values in table["rows"]] == rows
        assert {len(row) for row in rows} == {len(table["columns"])}

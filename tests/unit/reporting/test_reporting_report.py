import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from made_up_cells import Plan, without, write_cells, write_image_set
from made_up_layers import write_layers

from synthgap.errors import DataError
from synthgap.jobs import Artifacts
from synthgap.reporting.ablations import QUESTIONS
from synthgap.reporting.report import report

NASTY = '<script>alert("x")</script>&$|`'
TINY = without(
    Plan(num_images=30, seeds=(0,)), depths=(2,), control_depths=(), fractions=(),
    ablations=(),
)  # fmt: skip


@pytest.fixture(scope="module")
def page(reported):
    return (reported.report / "index.html").read_text(encoding="utf-8")


def test_the_page_needs_nothing_else(page):
    for target in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert target.startswith(("#", "data:image/png;base64,")), target[:60]
    assert not re.search(r"https?://|@import|<script|<link|url\((?!#)", page)


def test_every_inner_link_leads_somewhere_and_no_id_is_used_twice(page):
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    used = re.findall(r'href="#([^"]+)"', page) + re.findall(r"url\(#([^)]+)\)", page)
    assert set(used) <= set(ids)


def test_every_row_of_a_results_table_says_its_real_labels(page):
    tables = re.findall(r"<table>.*?</table>", page, flags=re.DOTALL)
    results = [table for table in tables if "gap_pp" in table]
    assert len(results) == 4 + len(QUESTIONS)
    for table in results:
        for row in re.findall(r"<tr>(<td.*?)</tr>", table):
            assert re.search(r">\d+ / \d+ / \d+<", row), row


def test_one_line_of_pandas_answers_a_question(reported):
    rows = pd.DataFrame(json.loads((reported.report / "summary.json").read_text()))
    best = rows.query(
        "metric == 'test/top1' and over == 'seeds' and direction == 'synthetic->real'"
    )
    assert {"digits"} == set(best.recipe)
    assert best.groupby("experiment")["mean"].max().loc["transfer"] > 90


def test_files_stand_beside_the_page(reported):
    names = {
        path.relative_to(reported.report).as_posix() for path in reported.report.rglob("*.png")
    }
    kinds = (
        *("ablations", "contact", "guidance", "guide", "heatmap", "layers", "losses", "oracle"),
        *("published", "reduce", "saturation", "settings", "similarity", "split", "stylised"),
        *("transfer", "tune-grid", "tune-history", "tune-importance", "tune-parallel"),
        *("tune-slices", "tune-verdict", "tune-watched"),
    )
    sheets = [
        f"fidelity-{kind}-{name}"
        for kind in ("neighbours", "worst")
        for name in ("g1.0", "g2.0", "g7.5")
    ]
    sheets += [f"gap-{kind}-{name}" for kind in ("low", "high") for name in ("g2.0", "g7.5")]
    assert names == {f"figures/digits/{kind}.png" for kind in (*kinds, *sheets)}
    text = (reported.report / "report.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((figures/[^)]+)\)", text)) == names
    assert "| synthetic → real, first 3 frozen | 700 / 0 / 600 | 3 |" in text


def test_two_recipes_coexist_and_gaps_say_not_run(tmp_path, run_summary):
    for name in ("cifar10", "digits"):
        plan = without(TINY, depths=(2,) if name == "digits" else ())
        plan = Plan(recipe=name, num_images=30, seeds=(0,), grid=plan.grid)
        run_summary(write_cells(tmp_path, plan), plan)
    report(Artifacts(tmp_path, "digits"))
    folder = tmp_path / "artifacts" / "report"
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert text.count("<article>") == 2
    assert text.count("not run") >= 4
    rows = json.loads((folder / "summary.json").read_text())
    assert {row["recipe"] for row in rows} == {"cifar10", "digits"}
    assert not (folder / "figures" / "cifar10" / "transfer.png").exists()
    assert (folder / "figures" / "digits" / "transfer.png").exists()
    assert "(single run)" in text  # one seed has no spread to print


def test_whatever_comes_from_data_is_escaped(tmp_path, run_summary):
    plan = Plan(recipe="digits", student=NASTY, num_images=30, seeds=(0,), grid=TINY.grid)
    artifacts = write_cells(tmp_path, plan)
    write_image_set(artifacts.image_set("train"), kind="real", classes=("a", "b&<i>"))
    write_layers(artifacts, plan, units=(*"abcde", NASTY))
    run_summary(artifacts, plan)
    about = artifacts.summary / "about.json"
    content = json.loads(about.read_text())
    content["units"] = [NASTY] * 6
    content["missing"] = [NASTY]
    about.write_text(json.dumps(content))
    report(artifacts)
    text = (artifacts.report / "index.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<i>" not in text
    assert "&lt;script&gt;alert(&quot;x&quot;)" in text
    markdown = (artifacts.report / "report.md").read_text(encoding="utf-8")
    assert "<script" not in markdown


def test_nothing_to_report_is_one_line(tmp_path):
    with pytest.raises(DataError, match="run `dvc repro summarise`") as caught:
        report(Artifacts(tmp_path, "digits"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "artifacts" / "report").exists()


def test_a_damaged_summary_is_named(tmp_path, run_summary):
    artifacts = write_cells(tmp_path, TINY)
    run_summary(artifacts, TINY)
    (artifacts.summary / "comparisons.json").unlink()
    with pytest.raises(DataError, match=r"comparisons\.json"):
        report(artifacts)


def test_another_process_gives_the_same_bytes_without_a_model_library(reported):
    def content():
        return {path: path.read_bytes() for path in reported.report.rglob("*") if path.is_file()}

    before = content()
    code = (
        "import sys\nfrom pathlib import Path\nfrom synthgap.jobs import Artifacts\n"
        "from synthgap.reporting.report import report\n"
        f"report(Artifacts(Path({str(reported.root)!r}), 'digits'))\n"
        "heavy = {'torch', 'timm', 'diffusers', 'transformers', 'mlflow', 'pandas'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment,
        cwd=Path(__file__).parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert content() == before

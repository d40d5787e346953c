import csv
import json

import pytest
from made_up_cells import Plan, without, write_cells, write_image_set
from PIL import Image

from synthgap.errors import DataError
from synthgap.jobs import Artifacts, folder_digest
from synthgap.params.sections import Summarise
from synthgap.reporting.summarise import SummariseParams, summarise

ONE_SEED = without(Plan(seeds=(0,), num_images=30), control_depths=(), fractions=())


def _read(artifacts, name):
    return json.loads((artifacts.summary / name).read_text())


def test_the_same_cells_give_the_same_bytes(tmp_path, reported, plan, write_all, run_summary):
    artifacts = write_all(tmp_path)
    run_summary(artifacts, plan)
    first = folder_digest(artifacts.summary)
    run_summary(artifacts, plan)
    assert folder_digest(artifacts.summary) == first == folder_digest(reported.summary)


def test_nothing_is_left_in_the_work_folder(reported):
    assert not [path for path in reported.work.iterdir() if path.is_dir()]


def test_the_study_is_copied_as_it_is(reported):
    record = reported.stage("tune") / "run.json"
    assert _read(reported, "tune.json") == json.loads(record.read_text())


def test_metrics_are_nested_numbers(reported):
    tree = _read(reported, "metrics.json")
    stages = {"train", "transfer", "control", "reduce", "ablate", "clone", "guide", "gap"}
    assert set(tree) == stages
    assert tree["clone"]["g2.0"]["images_150"]["accuracy"] < 92
    assert tree["clone"]["g2.0"]["images_150"]["probe"]["n"] == 3
    assert "probe" not in tree["transfer"]["synthetic_to_real"]["n3"]
    assert tree["ablate"]["augmentation"]["none"]["g2.0"]["accuracy"] < 92
    mixed = tree["ablate"]["sources"]["mixed 0.5"]
    assert mixed["train+g2.0"]["n"] == mixed["synthetic_to_mixed"]["n4"]["n"] == 3
    assert tree["ablate"]["sources"]["coreset"]["prefix_n4"]["1_8"]["accuracy"] > 90
    assert tree["guide"]["low-shot"]["rg"]["n"] == 5
    assert tree["gap"]["sampling"]["high_loss"]["train+g7.5"]["n"] == 2
    assert tree["transfer"]["synthetic_to_real"]["n3"]["n"] == 3
    assert tree["reduce"]["prefix_n4"]["1_8"]["accuracy"] > 0
    assert tree["train"]["g7.5"]["gap_pp"]["mean"] > 0

    def leaves(branch):
        return [leaf for value in branch.values() for leaf in leaves(value)] if isinstance(
            branch, dict
        ) else [branch]  # fmt: skip

    assert all(isinstance(leaf, int | float) for leaf in leaves(tree))


def test_plot_rows_cover_every_cell(reported, plan):
    def rows(name):
        with (reported.summary / name).open(newline="") as stream:
            return list(csv.DictReader(stream))

    grid = plan.grid
    assert len(rows("transfer.csv")) == 2 * (len(grid.depths) + len(grid.control_depths))
    assert len(rows("reduce.csv")) == 3 * len(grid.fractions)
    assert [row["guidance_scale"] for row in rows("guidance.csv")] == ["1.0", "2.0", "7.5"]
    assert [(row["set"], row["num_images"]) for row in rows("settings.csv")] == [
        *(("g1.0", "600"), ("g2.0", "600"), ("g7.5", "600"), ("g2.0-definition", "600")),
        *(("dit-g2.0", "600"), ("g2.0", "38"), ("g2.0", "150")),
    ]
    assert len(rows("transfer/real_to_synthetic.csv")) == len(grid.depths)
    assert len(rows("reduce/scratch.csv")) == len(grid.fractions)
    assert {row["arm"] for row in rows("reduce.csv")} == {"prefix n4", "scratch", "finetune"}


def test_one_environment_and_what_differs_from_it(tmp_path, run_summary):
    plan = without(ONE_SEED, depths=(1,), ablations=())
    artifacts = write_cells(tmp_path, plan)
    path = artifacts.cell("transfer", 1) / "run.json"
    about = json.loads(path.read_text())
    about["environment"]["threads"] = 2
    path.write_text(json.dumps(about))
    run_summary(artifacts, plan)
    found = _read(artifacts, "environment.json")
    assert found["differences"] == {
        "artifacts/transfer/digits/1": ["threads: 2 here, 1 there"],
    }


def test_a_cell_of_the_grid_that_is_absent_is_named(tmp_path, run_summary):
    plan = without(ONE_SEED, ablations=())
    artifacts = write_cells(tmp_path, plan)
    run_summary(artifacts, without(plan, depths=(*plan.grid.depths, 6), ablations=("stylised",)))
    assert _read(artifacts, "about.json")["missing"] == [
        *("artifacts/transfer/digits/6", "artifacts/ablate/digits/stylised"),
        *("artifacts/guide/digits/zero-shot", "artifacts/guide/digits/low-shot"),
        "artifacts/gap/digits",
        *("artifacts/layers/digits", "artifacts/stylise/digits", "artifacts/tune/digits"),
        "artifacts/fidelity/digits",
    ]


def test_an_oracle_set_shows_what_it_was_prompted_by_and_says_what_it_owes(tmp_path, run_summary):
    plan = without(ONE_SEED, ablations=())
    artifacts = write_cells(tmp_path, plan)
    write_image_set(artifacts.image_set("train"), kind="real")
    write_image_set(artifacts.image_set("oracle"), kind="synthetic", caveat="It has seen train.")
    run_summary(artifacts, plan)
    assert _read(artifacts, "about.json")["oracle_caveat"] == "It has seen train."
    with Image.open(artifacts.summary / "oracle.png") as sheet:
        assert sheet.width > sheet.height


def test_a_stale_cell_outside_the_grid_is_not_read(tmp_path, run_summary):
    plan = without(ONE_SEED, ablations=())
    artifacts = write_cells(tmp_path, plan)
    run_summary(artifacts, without(plan, depths=(2,)))
    with (artifacts.summary / "transfer" / "real_to_real.csv").open() as stream:
        assert stream.read() == "depth,direction,accuracy,std,n,low,high\n"
    depths = {row["depth"] for row in _read(artifacts, "records.json")}
    assert depths == {None, 2}


def test_no_cell_at_all_is_one_line(tmp_path, plan):
    params = SummariseParams(1, Summarise(resamples=200, confidence=0.95), plan.grid)
    with pytest.raises(DataError, match="run `dvc repro`") as caught:
        summarise(params, Artifacts(tmp_path, "digits"))
    assert "\n" not in str(caught.value)


def test_contact_sheet_shows_the_sets_side_by_side(reported):
    with Image.open(reported.summary / "contact.png") as sheet:
        assert sheet.width > 2 * sheet.height
    assert _read(reported, "about.json")["classes_shown"] == ["0", "1", "2"]


def test_many_classes_are_thinned_to_ten(tmp_path, run_summary):
    plan = without(ONE_SEED, depths=(), ablations=())
    artifacts = write_cells(tmp_path, plan)
    names = tuple(f"{index:03d}" for index in range(37))
    write_image_set(artifacts.image_set("train"), kind="real", classes=names, per_class=1)
    run_summary(artifacts, plan)
    classes = _read(artifacts, "about.json")["classes_shown"]
    assert len(classes) == 10
    assert (classes[0], classes[-1]) == ("000", "036")


def test_summary_digest_depends_on_the_confidence(tmp_path, run_summary):
    plan = without(ONE_SEED, depths=(), ablations=())
    artifacts = write_cells(tmp_path, plan)
    run_summary(artifacts, plan)
    before = folder_digest(artifacts.summary)
    summarise(SummariseParams(1, Summarise(resamples=200, confidence=0.8), plan.grid), artifacts)
    assert folder_digest(artifacts.summary) != before

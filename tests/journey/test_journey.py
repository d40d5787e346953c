"""Every stage, tiny, as a newcomer would run them; then what a person does next."""

import json
import shutil
import sys

import pandas as pd
import pytest
import yaml
from journey_lines import ran

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(clone_into, tmp_path_factory):
    made = clone_into(tmp_path_factory.mktemp("journey"))
    made.repro()
    return made


def test_the_report_answers_in_one_line_of_pandas(clone):
    summary = clone.root / "artifacts" / "report" / "summary.json"
    rows = pd.DataFrame(json.loads(summary.read_text()))
    rows = rows[rows.over == "seeds"]
    top = rows[(rows.metric == "test/top1") & (rows.experiment == "train")]
    assert sorted(top["set"]) == ["corpus", "g2.0", "train"]
    assert top["mean"].between(0, 100).all()
    assert set(rows[rows.experiment == "transfer"].direction) == {
        "synthetic->real",
        "real->synthetic",
    }
    assert set(rows[rows.experiment == "control"].direction) == {
        "real->real",
        "synthetic->synthetic",
    }
    assert set(rows[rows.experiment == "ablate"].ablation) == {"oracle", "supervision"}
    page = (clone.root / "artifacts" / "report" / "index.html").read_text()
    assert "digits" in page
    assert "://" not in page.split("<body", 1)[1].replace("http://www.w3.org", "")


def test_a_second_repro_does_nothing(clone):
    before = clone.locked()
    assert ran(clone.dvc("repro")) == []  # a process of DVC's own, as a person starts it
    assert clone.locked() == before


def test_a_second_clone_gives_the_same_digests(clone, clone_into, tmp_path):
    second = clone_into(tmp_path)
    second.dvc("repro", "synthesize@digits-g2.0")  # stages in processes of their own: cold is warm
    shutil.copytree(clone.root / "artifacts/validate", second.root / "artifacts/validate")
    second.dvc("repro", "-s", "train@digits-g2.0")  # alone: what it reads is the same
    theirs = second.locked()
    assert {"artifacts/generator/digits", "artifacts/train/digits/g2.0"} <= set(theirs)
    ours = clone.locked()
    assert {path: ours[path] for path in theirs} == theirs


def test_transfer_at_depth_0_is_training_from_scratch(clone):
    done = clone.run(sys.executable, "pipelines/transfer.py", "--depth", "0")
    assert done.returncode == 0
    moved, scratch = (
        json.loads((clone.root / "artifacts" / path / "run.json").read_text())["runs"]
        for path in ("transfer/digits/0", "train/digits/train")
    )
    (relearned,) = (run for run in moved if run["direction"] == "synthetic->real")
    (trained,) = (run for run in scratch if run["seed"] == relearned["seed"])
    unprobed = [
        {name: value for name, value in epoch.items() if not name.startswith("probe/")}
        for epoch in trained["epochs"]
    ]
    assert relearned["epochs"] == unprobed


def test_mirror_restores_a_lost_store_without_doubles(clone):
    import sqlite3

    def runs():
        with sqlite3.connect(clone.root / "mlruns" / "mlflow.db") as store:
            query = (
                "select count(*), count(distinct value) from tags join runs using (run_uuid) "
                "where key='synthgap.digest' and lifecycle_stage='active'"
            )
            return store.execute(query).fetchone()

    clone.run(sys.executable, "-m", "synthgap", "mirror")
    first = runs()
    assert first[0] == first[1] > 10
    clone.run(sys.executable, "-m", "synthgap", "mirror")
    assert runs() == first


def test_applying_what_tuning_found_does_not_tune_again(clone):
    record = json.loads((clone.root / "artifacts/tune/digits/run.json").read_text())
    assert record["study"]["counts"]["complete"] + record["study"]["counts"]["pruned"] == 3
    assert len(record["study"]["verdict"]["seeds"]) == 2
    path = clone.root / "params.yaml"
    before = path.read_text()
    clone.run(sys.executable, "-m", "synthgap", "study", "apply", "tune")
    params, tuned = yaml.safe_load(path.read_text()), record["study"]["winner"]["tuned"]
    assert params["guide"]["augmentation"] == tuned["guide.augmentation"]
    named = f"g{tuned['guide.image_set.guidance_scale']}"
    assert params["guide"]["image_set"] == named
    assert named in params["grid"]["synthetic_sets"]
    assert ran(clone.repro("-s", "tune@digits")) == []
    path.write_text(before)


def test_one_more_depth_fraction_and_scale_run_one_new_thing_each(clone):
    sets = ["train", "corpus", "g2.0", "g4.0"]
    more = {"depths": [2, 3], "fractions": [1, 4, 8]}
    synthetic = ["g2.0", "dit-g2.0", "g4.0"]
    clone.set_params({"grid": {**more, "sets": sets, "synthetic_sets": synthetic}})
    done = clone.repro()
    depth = {"transfer@digits-3", "register@digits"}
    fraction = {"reduce@digits-8"}
    judged = {"fidelity@digits", "validate@digits", "gap@digits"}  # over all sets
    scale = {"synthesize@digits-g4.0", *judged, "train@digits-g4.0"}
    assert set(ran(done)) == {*depth, *fraction, *scale, "summarise@digits", "report"}
    assert (clone.root / "artifacts/register/digits/resnet10t-synthetic/n3").is_dir()


def test_a_comment_reruns_the_stages_that_name_its_file_and_nothing_after_them(clone):
    """Code is in no output's bytes: what is made again is the same, and DVC stops there."""
    before = clone.locked()
    for name in ("training/loop.py", "models/units.py"):
        path = clone.root / "src" / "synthgap" / name
        path.write_text(path.read_text() + "\n# a comment\n")
    named = {
        stage
        for stage, about in yaml.safe_load((clone.root / "dvc.yaml").read_text())["stages"].items()
        if {"src/synthgap/training", "src/synthgap/models"} & set(about["deps"])
    }
    ran_again = {name.partition("@")[0] for name in ran(clone.repro("register@digits"))}
    assert {"judge", "train", "transfer", "register"} <= ran_again <= named
    assert not ran_again & {"settings", "ingest", "generator", "rivals", "validate"}
    after = clone.locked()
    assert {path: after[path] for path in before} == before

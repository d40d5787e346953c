from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from synthgap.cli import main

RECORD = Path("mlruns/studies/digits/quick/run.json")
TUNE = Path("artifacts/tune/digits/run.json")


def stdout_of(capsys, *command: str) -> str:
    assert main(["study", *command]) == 0
    return capsys.readouterr().out


def refusal(capsys, *command: str) -> str:
    assert main(["study", *command]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1, line
    return line


def as_tune() -> dict:
    """The record of the finished study, as the stage would have written it."""
    record = json.loads(RECORD.read_text())
    record["study"]["name"] = "tune"
    for row in record["runs"]:
        row["study"] = "tune"
    TUNE.parent.mkdir(parents=True)
    TUNE.write_text(json.dumps(record))
    return record


def test_without_studies_status_says_how_to_begin(world, capsys, monkeypatch):
    monkeypatch.delenv("SYNTHGAP_STUDIES")
    text = stdout_of(capsys, "status")
    assert "no study of digits in sqlite:///" in text
    assert "joint, labels, quick" in text
    assert not Path("mlruns").exists()


def test_status_is_a_table_of_all_studies(ended, capsys):
    as_tune()
    head, tune, quick = stdout_of(capsys, "status").splitlines()
    assert head.split()[:6] == ["study", "complete", "pruned", "failed", "running", "waiting"]
    assert tune.split()[:6] == ["tune", "8", "0", "0", "0", "0"]
    assert quick.split()[:6] == ["quick", "8", "0", "0", "0", "0"]
    assert "trial 6, val accuracy 83." in quick
    assert quick.endswith("closed")
    assert tune.endswith("closed, record only")


def test_status_of_a_closed_study_points_to_what_won(ended, capsys):
    text = stdout_of(capsys, "status", "quick")
    assert "8 trials: 8 complete (sqlite:///" in text
    assert "`synthgap study best quick`" in text


def test_status_of_an_open_study_counts_its_workers(world, capsys):
    from synthgap.studies.storage import load_study, open_storage
    from synthgap.studies.trials import queue

    world.stop_after = 5
    assert main(["study", "run", "quick"]) == 130
    text = stdout_of(capsys, "status", "quick")
    assert "8 trials: 2 complete, 6 waiting" in text
    assert "best so far: trial 1, val accuracy 81.3" in text
    assert "nobody is at work; `synthgap study resume quick`" in text
    study = load_study("quick", "digits", open_storage(None, Path.cwd()))
    taken = queue.take(study)
    assert "just started, no beat yet" in stdout_of(capsys, "status", "quick")
    study._storage.record_heartbeat(taken)
    text = stdout_of(capsys, "status", "quick")
    assert re.search(r"worker on trial \d \(\w+\): last beat \d s ago", text)
    assert "1 at work" in text
    assert "1 running, 5 waiting" in text


def test_a_worker_that_is_silent_for_long_is_called_dead(world, capsys, monkeypatch):
    from sqlalchemy import text

    from synthgap.studies.storage import load_study, open_storage
    from synthgap.studies.trials import queue

    monkeypatch.delenv("SYNTHGAP_STUDIES")
    world.stop_after = 1
    assert main(["study", "run", "quick"]) == 130
    study = load_study("quick", "digits", open_storage(None, Path.cwd()))
    study._storage.record_heartbeat(queue.take(study))
    with study._storage._backend.engine.begin() as connection:
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = '2026-01-01 00:00:00'"))
    status = stdout_of(capsys, "status", "quick")
    assert "dead, silent for" in status
    assert "nobody is at work" in status
    assert "1 dead workers" in stdout_of(capsys, "status")
    assert [trial.state.name for trial in study.trials].count("RUNNING") == 1  # only looked at


def test_best_says_what_won_by_how_much_and_what_it_cost(ended, capsys):
    text = stdout_of(capsys, "best", "quick")
    assert "winner: trial 6" in text
    assert "guide.image_set.guidance_scale: 1  (default 2)" in text
    assert "val accuracy of default: 80.3 ± 0.0 % (n=2)" in text
    assert "+1.5 points [0.5, 2.5], 95 % over 3 paired seeds" in text
    assert "250 of val by the objective, 700 generator, 0 reference, 50 student" in text
    assert "steps: 320 of the 320" in text
    assert "`synthgap study apply quick`" in text


def test_best_of_an_unfinished_study_is_the_best_so_far(world, capsys):
    world.stop_after = 5
    assert main(["study", "run", "quick"]) == 130
    capsys.readouterr()
    text = stdout_of(capsys, "best", "quick")
    assert "best so far: trial 1, val/top1 81.3" in text
    assert "test: not scored yet" in text
    assert "`synthgap study resume quick`" in text


def test_best_of_several_objectives_is_a_front(world, capsys):
    params = Path("params.yaml")
    text = params.read_text().replace(
        "    objectives: [val/top1]\n    watched: [holdout]\n    constraints: {}\n"
        "    sampler: tpe\n    pruner: none\n    trials: 8",
        "    objectives: [val/top1, real_labels]\n    watched: [holdout]\n    constraints: {}\n"
        "    sampler: nsga2\n    pruner: none\n    trials: 7",
    )
    params.write_text(text)
    assert main(["study", "run", "quick"]) == 0
    capsys.readouterr()
    text = stdout_of(capsys, "best", "quick")
    [front] = [line for line in text.splitlines() if line.startswith("of the front")]
    assert "trial 3, val/top1 83.3 ± 0.0 % (n=2), real_labels 50: guidance scale 1" in front
    assert "winner: trial 3" in text
    assert "val/top1, real_labels" in stdout_of(capsys, "compare", "quick")
    assert "real labels 50" in stdout_of(capsys, "status", "quick")


def test_a_study_of_another_version_hides_no_other(ended, capsys, monkeypatch):
    import optuna

    from synthgap.studies.storage import load_study, open_storage

    storage = open_storage(None, Path.cwd())
    plan = load_study("quick", "digits", storage).user_attrs["plan"]
    del plan["base"]["guide"]["epochs"]
    optuna.create_study(study_name="digits/old", storage=storage).set_user_attr("plan", plan)
    _, old, quick = stdout_of(capsys, "status").splitlines()
    assert "made by another version of synthgap" in old
    assert quick.split()[1] == "8"
    assert "epochs: missing" in refusal(capsys, "best", "old")


def test_an_interval_that_holds_zero_is_not_resolved():
    from synthgap.cli.study_tell import difference_text

    paired = {"mean": 0.5, "low": -0.5, "high": 1.5, "confidence": 0.95, "n": 4}
    assert difference_text({"difference": paired}).endswith("4 paired seeds, not resolved")
    alone = {**paired, "low": None, "high": None, "n": 1}
    assert "no interval" in difference_text({"difference": alone})


@pytest.mark.parametrize(
    ("spent", "text"),
    [(75, "75 of the 100 of as many full trials (25 % saved by"), (102, "(2 % more, nothing was")],
)
def test_steps_that_were_not_saved_are_said_too(spent, text):
    from synthgap.cli.study_tell import steps_text

    assert text in steps_text(spent, 100)


def test_studies_are_compared_side_by_side(ended, capsys):
    as_tune()
    head, tune, quick = stdout_of(capsys, "compare", "tune", "quick", "quick").splitlines()
    assert head.startswith("study  objective  trials")
    assert tune.split()[1:] == quick.split()[1:]
    assert "8 of 8 (0 pruned)" in quick
    assert "83.8 ± 0.0 % (n=2)" in quick
    assert quick.endswith("250, 1,000")


def test_a_report_is_written_from_the_storage_at_any_time(world, capsys):
    world.stop_after = 5
    assert main(["study", "run", "quick"]) == 130
    capsys.readouterr()
    assert f"page: {RECORD.parent.resolve()}/index.html" in stdout_of(capsys, "report", "quick")
    assert json.loads(RECORD.read_text())["study"]["counts"]["open"] == 6


def test_a_report_mends_a_damaged_record(ended, capsys):
    before = RECORD.read_bytes()
    RECORD.write_text("{")
    stdout_of(capsys, "report", "quick")
    assert RECORD.read_bytes() == before


def test_the_stages_page_is_written_outside_of_its_output(ended, capsys):
    as_tune()
    assert "mlruns/studies/digits/tune-page/index.html" in stdout_of(capsys, "report", "tune")
    assert [path.name for path in TUNE.parent.iterdir()] == ["run.json"]


def test_records_are_read_where_the_storage_is_gone(ended, capsys):
    Path("mlruns/studies.db").unlink()
    assert "winner: trial 6" in stdout_of(capsys, "best", "quick")
    assert "its record here, not in the storage" in stdout_of(capsys, "status", "quick")
    assert not Path("mlruns/studies.db").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"study": 1, "runs": [], "params": {}}'])
def test_a_damaged_record_is_one_line(ended, capsys, content):
    Path("mlruns/studies.db").unlink()
    RECORD.write_text(content)
    line = refusal(capsys, "best", "quick")
    assert str(RECORD) in line
    assert "`synthgap study report quick`" in line


@pytest.mark.parametrize("command", ["best", "status", "compare", "report", "apply"])
def test_a_study_that_is_none_is_one_line_with_the_known_ones(ended, capsys, command):
    line = refusal(capsys, command, "quik")
    assert "expected one of quick" in line
    line = refusal(capsys, command, "tune")
    assert "`dvc repro tune` makes it" in line
    line = refusal(capsys, command, "joint")
    assert "`synthgap study run joint` makes it" in line


def test_elsewhere_than_in_a_checkout_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "run in the root of a synthgap checkout" in refusal(capsys, "status")

"""What MLflow shows of a study: its trials under one parent, states, charts, page and figures."""

import re
import socket

import pytest
from fake_trials import LAMBDA, RATE, log_trial, trial, verdict_of, write_study
from seen import all_runs, artifacts, child_runs, history, parent_runs

from synthgap.tracking.live_log import open_log
from synthgap.tracking.mirror import mirror
from synthgap.tracking.outbox import Outbox
from synthgap.tracking.runs import DIGEST_TAG, params_of
from synthgap.tracking.sender import log_study
from synthgap.tracking.spool import spools
from synthgap.tracking.sweeps import (
    PARENT_TAG,
    SWEEP_TAG,
    Sweep,
    begin_sweep,
    find_sweep,
    sweep_points,
)
from synthgap.tracking.trials import study_chart, study_note, trial_params

TAKEN_BY_MLFLOW = re.compile(r"^[/\w.\- :]*$")
quiet = pytest.mark.filterwarnings("ignore:.*noload:DeprecationWarning")
ROWS = [
    *(trial(0, top1=90.0), trial(1, top1=89.0), trial(2, "pruned"), trial(3, "failed")),
    *(trial(4, top1=94.0), trial(4, kind="final", seed=10, seeds=[10], top1=93.0)),
]


def by_number(store) -> dict:
    searched = [run for run in child_runs(store) if run.data.tags["trial.kind"] != "final"]
    return {int(run.data.tags["trial.number"]): run for run in searched}


def hung_under(store, parent) -> set:
    assert {run.data.tags[PARENT_TAG] for run in child_runs(store)} == {parent.info.run_id}
    return {run.info.run_id for run in child_runs(store)}


def test_the_best_so_far_is_told_up_to_the_first_trial_that_has_not_ended():
    found = sweep_points([row for row in ROWS if row["trial"] != 1])
    best = {step: value for (name, step), value in found.items() if name == "best/val_top1"}
    assert best == {0: 90.0}
    whole = study_chart(ROWS)
    best = {step: value for (name, step), value in whole.items() if name == "best/val_top1"}
    assert best == {0: 90.0, 1: 90.0, 2: 90.0, 3: 90.0, 4: 94.0}
    trials = {step for name, step in whole if name == "trials/val_top1"}
    assert trials == {0, 1, 4}
    assert all(TAKEN_BY_MLFLOW.match(name) for name, _ in whole)


def test_less_is_better_of_labels_and_what_breaks_a_constraint_is_no_best():
    rows = [
        trial(slot, objectives=["real_labels"], values={"real_labels": count}, feasible=slot != 2)
        for slot, count in enumerate((50, 80, 10, 40))
    ]
    found = study_chart(rows)
    best = [value for (name, _), value in found.items() if name == "best/real_labels"]
    assert best == [50.0, 50.0, 50.0, 40.0]


def test_what_was_tuned_stands_in_place_of_what_params_say():
    params = params_of(trial(3), {"training": {"batch_size": 32, "epochs": 8}})
    assert params[f"tuned.{RATE}"] == params[RATE] == "64"
    assert params["training.epochs"] == "8"
    assert trial_params({"tuned": {"a": None}}, {}) == {"tuned.a": "null"}
    assert all(TAKEN_BY_MLFLOW.match(name) for name in params)


def test_the_note_says_what_was_spent_and_found():
    study = {
        "counts": {"complete": 3, "pruned": 1, "failed": 0}, "trials": 4,
        "labels": {"objective": 300, "generator": None, "reference": 0, "student": 50},
        "winner": {"trial": "default", "tuned": {LAMBDA: 0.3}}, "verdict": verdict_of(1.25),
    }  # fmt: skip
    text = study_note(study)
    assert "300 real labels of `val`" in text
    assert "its generator nobody knows how many" in text
    assert "96.25 against 95.00 of the default, +1.25 points [+0.25, +2.25] over 2 seeds" in text
    study["verdict"]["difference"] |= {"mean": 0.0, "low": None, "high": None}
    assert "+0.00 points over 2 seeds" in study_note(study)


@quiet
@pytest.mark.parametrize("study", ["joint", "tune"])
def test_trials_hang_under_their_study_with_states_values_and_reasons(store, study):
    rows = [{**row, "study": study, "name": f"{study} t{row['trial']:02d}"} for row in ROWS]
    write_study(store.root, rows)
    assert mirror(store.root).runs == {"created": 6}
    (parent,) = parent_runs(store)
    assert (parent.info.run_name, parent.data.tags["study"]) == (study, study)
    assert len(hung_under(store, parent)) == 6
    seen = by_number(store)
    states = {n: (run.info.status, run.data.tags["trial.state"]) for n, run in seen.items()}
    assert states == {
        0: ("FINISHED", "complete"), 1: ("FINISHED", "complete"), 2: ("FINISHED", "pruned"),
        3: ("FAILED", "failed"), 4: ("FINISHED", "complete"),
    }  # fmt: skip
    assert seen[3].data.tags["trial.reason"] == "loss is nan at step 7"
    assert [seen[n].info.run_name for n in (2, 3)] == [f"{study} t02 pruned", f"{study} t03"]
    assert seen[2].data.params[f"tuned.{LAMBDA}"] == "0.1"
    assert seen[4].data.metrics["last/val_top1"] == 94.0
    assert len(history(store, seen[2], "val/top1")) == 3
    assert history(store, parent, "trials/val_top1") == [(0, 90.0), (1, 89.0), (4, 94.0)]
    assert parent.data.tags["real_labels.objective"] == "300"
    assert "300 real labels" in parent.data.tags["mlflow.note.content"]
    assert mirror(store.root).runs == {"left": 6}
    assert len(parent_runs(store)) == 1


@quiet
def test_a_study_of_the_command_says_what_made_it(store):
    write_study(store.root, ROWS[:1])
    mirror(store.root)
    assert {run.data.tags["mlflow.source.name"] for run in all_runs(store)} == {
        "synthgap study joint"
    }


@quiet
def test_more_trials_finals_and_a_verdict_join_what_is_there(store):
    folder = write_study(store.root, ROWS[:3])
    assert log_study(store.root, folder) is None
    (before,) = parent_runs(store)
    children = hung_under(store, before)
    write_study(store.root, ROWS, verdict=verdict_of(1.0))
    assert log_study(store.root, folder) is None
    (after,) = parent_runs(store)
    assert after.info.run_id == before.info.run_id
    assert children < hung_under(store, after)  # none was made anew
    assert history(store, after, "verdict/difference") == [(0, 1.0)]
    assert [step for step, _ in history(store, after, "best/val_top1")] == [0, 1, 2, 3, 4]


@quiet
def test_other_results_leave_one_parent_and_no_double(store):
    folder = write_study(store.root, ROWS)
    log_study(store.root, folder)
    write_study(store.root, [{**ROWS[0], "values": {"val/top1": 80.0}}, *ROWS[1:]])
    log_study(store.root, folder)
    (parent,) = parent_runs(store)
    assert len(hung_under(store, parent)) == 6
    assert history(store, parent, "trials/val_top1")[0] == (0, 80.0)


@quiet
def test_the_page_and_its_figures_hang_under_the_study_once(store):
    folder = write_study(store.root, ROWS)
    (folder / "figures").mkdir()
    (folder / "index.html").write_text("<p>a study")
    (folder / "figures" / "tune-history.png").write_bytes(b"a figure")
    for _ in range(2):
        assert log_study(store.root, folder) is None
    (parent,) = parent_runs(store)
    assert artifacts(store, parent) == ["figures", "index.html", "run.json"]
    (figure,) = store.client.list_artifacts(parent.info.run_id, "figures")
    assert figure.path == "figures/tune-history.png"


@quiet
def test_the_stages_figures_are_those_of_the_report(store):
    folder = write_study(store.root, [{**row, "study": "tune"} for row in ROWS])
    drawn = store.root / "artifacts/report/figures" / folder.name
    drawn.mkdir(parents=True)
    for name in ("tune-grid.png", "gap.png"):
        (drawn / name).write_bytes(b"a figure")
    mirror(store.root)
    (parent,) = parent_runs(store)
    figures = store.client.list_artifacts(parent.info.run_id, "figures")
    assert [one.path for one in figures] == ["figures/tune-grid.png"]


@quiet
def test_trials_are_told_live_and_completed_by_the_record(store):
    log, outbox = open_log(store.root), Outbox(store)
    for row in ROWS[:4]:
        log_trial(log, row, status="FAILED" if row["state"] == "failed" else "FINISHED")
        outbox.send()
    (parent,) = parent_runs(store)
    seen = by_number(store)
    assert [seen[n].data.tags["trial.state"] for n in range(4)] == [
        "complete", "complete", "pruned", "failed",
    ]  # fmt: skip
    assert history(store, parent, "trials/val_top1") == [(0, 90.0), (1, 89.0)]
    assert seen[3].info.status == "FAILED"
    before = hung_under(store, parent)
    folder = write_study(store.root, ROWS[:1])  # an older record than what was logged
    log_study(store.root, folder)
    write_study(store.root, ROWS[:4])
    assert log_study(store.root, folder) is None
    (after,) = parent_runs(store)
    assert after.info.run_id == parent.info.run_id
    assert hung_under(store, after) == before
    assert history(store, after, "trials/val_top1") == [(0, 90.0), (1, 89.0)]
    assert by_number(store)[2].data.params["num_steps"] == "90"


@quiet
def test_a_trial_that_was_given_back_goes_on_in_its_run(store):
    log, outbox = open_log(store.root), Outbox(store)
    row = trial(1)
    log_trial(log, {**row, "state": "killed", "epochs": row["epochs"][:1]}, status="KILLED")
    outbox.send()
    (child,) = child_runs(store)
    assert (child.info.status, child.data.tags["trial.state"]) == ("KILLED", "killed")
    log_trial(log, row)
    outbox.send()
    (again,) = child_runs(store)
    assert again.info.run_id == child.info.run_id
    assert (again.info.status, again.data.tags["trial.state"]) == ("FINISHED", "complete")
    assert [step for step, _ in history(store, again, "val/top1")] == [1, 2, 3]


@quiet
def test_what_a_slower_machine_tells_after_the_record_is_no_double(store):
    log_study(store.root, write_study(store.root, ROWS[:2]))
    (before,) = [run.info.run_id for run in child_runs(store) if run.info.run_name == "joint t01"]
    log, outbox = open_log(store.root), Outbox(store)
    log_trial(log, ROWS[1])
    log_trial(log, ROWS[4])
    outbox.send()
    seen = by_number(store)
    assert len(child_runs(store)) == 3
    assert seen[1].info.run_id == before
    assert len(history(store, seen[1], "val/top1")) == 3
    assert [spool.digest for spool in spools(store.root)] == []


@quiet
def test_a_trial_that_was_made_anew_replaces_the_one_of_its_slot(store):
    log, outbox = open_log(store.root), Outbox(store)
    died = trial(4, version=2, tuned={LAMBDA: 0.9}, epochs=ROWS[0]["epochs"][:1])
    log_trial(log, {**died, "state": "killed"}, status="KILLED")
    log_trial(log, trial(7))  # not in the record yet
    outbox.send()
    log_study(store.root, write_study(store.root, ROWS))
    digests = {run.data.tags[DIGEST_TAG] for run in child_runs(store)}
    assert digests == {trial(7)["digest"], *(row["digest"] for row in ROWS)}


@quiet
def test_two_machines_that_begin_at_once_end_with_one_parent(store):
    sweep = Sweep("digits", "tune", trial(0)["plan"], "joint")
    ids = [begin_sweep(store, sweep, start=start) for start in (2.0, 1.0)]
    for number, parent in enumerate(ids):
        tags = {DIGEST_TAG: f"{number}", PARENT_TAG: parent, "trial.kind": "search"}
        store.client.create_run(store.experiment("digits"), tags=tags)
    found = find_sweep(store, sweep)
    (parent,) = parent_runs(store)
    assert parent.info.run_id == found.info.run_id == ids[1]
    assert parent.data.tags[SWEEP_TAG] == sweep.digest
    assert len(hung_under(store, parent)) == 2


@quiet
def test_a_study_of_another_machine_stays_open(store):
    begin_sweep(store, Sweep("digits", "tune", "1" * 64, "joint"), start=1.0)
    begin_sweep(store, Sweep("digits", "tune", "2" * 64, "tune"), start=1.0)
    mirror(store.root)
    ended = {run.data.tags["study"]: run.info.status for run in parent_runs(store)}
    assert ended == {"joint": "RUNNING", "tune": "FAILED"}


def test_without_a_server_the_line_says_so_and_nothing_is_raised(checkout, monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{port}")
    folder = write_study(checkout, ROWS)
    text = log_study(checkout, folder)
    assert "synthgap mirror" in text
    assert "secret" not in text
    assert "\n" not in text

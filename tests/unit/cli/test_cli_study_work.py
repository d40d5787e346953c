from __future__ import annotations

import json
import re
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from synthgap.cli import main

RECORD = Path("mlruns/studies/digits/quick/run.json")


def record(path: Path = RECORD) -> dict:
    return json.loads(path.read_text())


def changed(before: str, after: str) -> None:
    params = Path("params.yaml")
    text = params.read_text()
    assert before in text
    params.write_text(text.replace(before, after, 1))


def kept() -> optuna.Study:
    from synthgap.studies.storage import load_study, open_storage

    return load_study("quick", "digits", open_storage(None, Path.cwd()))


def refusal(capsys, *command: str) -> str:
    assert main(["study", *command]) == 1
    output = capsys.readouterr()
    assert output.err.count("\n") == 1, output.err
    assert output.err.startswith("synthgap: ")
    return output.err


def test_what_will_be_done_is_said_first(ended):
    first, *_ = ended.output.partition("quick t00")
    assert "8 trials of rg-pg under protocol low-shot, 2 seeds each" in first
    assert "sampler tpe, pruner none" in first
    assert "synthetic sets: g1.0 there; g2.0 to be sampled" in first
    assert "val accuracy spends 250 real labels of val; a synthetic-only result tuned so" in first
    assert "not data-free" in first


def test_every_trial_is_a_line(ended):
    lines = [line for line in ended.output.splitlines() if re.match(r"quick t\d\d {2}", line)]
    assert [line.split()[1] for line in lines] == [f"t{slot:02d}" for slot in range(8)]
    assert [line.split()[2] for line in lines] == ["default", *["grid"] * 5, *["search"] * 2]
    assert "complete  val accuracy 83.3 %  |  guidance scale 1, augmentation dino  |" in lines[3]
    assert all(line.endswith(" s") for line in lines)


def test_the_record_holds_all_of_it(ended):
    text = record()
    assert text["study"]["counts"] == {"complete": 8, "pruned": 0, "failed": 0, "open": 0}
    assert text["study"]["labels"]["objective"] == 250
    assert text["study"]["verdict"]["seeds"] == [20, 21, 22]
    assert [row["kind"] for row in text["runs"]].count("final") == 6
    assert "winner: trial 6" in ended.output
    assert "next: `synthgap study apply quick`" in ended.output


def test_a_study_that_is_there_is_not_begun_again(ended, capsys):
    line = refusal(capsys, "run", "quick")
    assert "`synthgap study resume quick`" in line
    assert "--as" in line
    assert not ended.calls


def test_a_record_of_another_storage_is_not_overwritten(ended, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SYNTHGAP_STUDIES", f"sqlite:///{tmp_path}/other.db")
    assert "of another storage" in refusal(capsys, "run", "quick")


def test_the_same_study_under_another_name_has_its_own_trials(ended, capsys):
    ended.gain = 0.0
    assert main(["study", "run", "quick", "--as", "again", "--trials", "7"]) == 0
    output = capsys.readouterr().out
    assert "again t06" in output
    assert "again t07" not in output
    assert record(Path("mlruns/studies/digits/again/run.json"))["study"]["trials"] == 7
    assert main(["study", "resume", "again"]) == 0
    assert record()["study"]["trials"] == 8


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("quik", "did you mean `quick`"),
        ("zzz", r"expected one of studies \(joint, labels, quick\)"),
        ("tune", r"`dvc repro tune`"),
    ],
)
def test_a_name_that_is_none_is_refused_with_the_known_ones(world, capsys, name, reason):
    assert re.search(reason, refusal(capsys, "run", name))
    assert not Path("mlruns").exists()


def test_a_space_that_does_not_fit_is_refused_before_anything_is_made(world, capsys):
    end = "\n    finals: {count: 2, seeds: [10, 11], scored_seeds: [20, 21, 22]}"
    changed(end, f"\n      guide.rg.lamda_2: [0.5]{end}")
    assert main(["study", "run", "quick"]) == 1
    assert "did you mean `lambda_2`" in capsys.readouterr().err
    assert not Path("mlruns").exists()
    assert not world.calls


def test_fewer_trials_than_fixed_ones_are_refused(world, capsys):
    assert "expected at least as many" in refusal(capsys, "run", "quick", "--trials", "3")
    assert not world.calls


def test_an_interrupted_study_goes_on_and_ends_as_if_nothing_had_happened(
    ended, capsys, monkeypatch
):
    whole = record()
    RECORD.unlink()
    monkeypatch.setenv("SYNTHGAP_STUDIES", f"journal://{Path.cwd()}/studies.log")
    ended.stop_after = 7  # in the fourth trial, after its first seed
    assert main(["study", "run", "quick"]) == 130
    output = capsys.readouterr()
    assert "3 of 8 trials are kept; `synthgap study resume quick` goes on" in output.err
    assert "Traceback" not in output.err
    ended.stop_after = None
    assert main(["study", "resume", "quick"]) == 0
    assert "3 of 8 trials have ended" in capsys.readouterr().out
    assert len(ended.calls) == ended.num_calls + 1  # one seed of one trial twice
    assert record() == whole


def test_a_closed_study_is_told_again_and_not_worked_on(ended, capsys):
    before = RECORD.read_bytes()
    for command in (["resume", "quick"], ["work", "--study", "quick"]):
        assert main(["study", *command]) == 0
        assert "winner: trial 6" in capsys.readouterr().out
    assert not ended.calls
    assert not ended.num_verdicts
    assert RECORD.read_bytes() == before


def interrupted(world, calls: int) -> None:
    world.stop_after = calls
    assert main(["study", "run", "quick"]) == 130
    world.stop_after = None


def test_an_interrupted_closing_keeps_its_final_runs(world, capsys):
    interrupted(world, 16 + 3)
    assert "8 of 8 trials are kept" in capsys.readouterr().err
    assert not world.num_verdicts
    assert main(["study", "work", "--study", "quick"]) == 0
    assert len(world.calls) == 16 + 6
    assert world.num_verdicts == 1
    assert record()["study"]["verdict"] is not None


def test_of_several_workers_one_closes_the_study(world, capsys):
    interrupted(world, 16)
    study = kept()
    claim = create_trial(state=TrialState.RUNNING, user_attrs={"closing": True})
    held = study._storage.create_new_trial(study._study_id, template_trial=claim)
    assert main(["study", "resume", "quick"]) == 0
    assert "another worker does the finals" in capsys.readouterr().out
    assert not world.num_verdicts
    assert not RECORD.exists()
    study._storage.set_trial_state_values(held, TrialState.FAIL)  # as when it is found dead
    assert main(["study", "resume", "quick"]) == 0
    assert world.num_verdicts == 1
    assert sum("closing" in trial.user_attrs for trial in kept().trials) == 4
    assert record()["study"]["counts"]["complete"] == 8


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("  epochs: 12  # passes", "  epochs: 9  # passes", ["guide.epochs", "9", "12"]),
        ("    trials: 8\n", "    trials: 9\n", ["trials", "9", "8"]),
        ("  base_lr: 2.0", "  base_lr: 1.0", ["training.base_lr", "1.0", "2.0"]),
        ("\nseed: ", "\nseed: 1", ["seed"]),
    ],
)
def test_other_params_than_a_study_was_made_with_are_named(world, capsys, before, after, text):
    interrupted(world, 1)
    capsys.readouterr()
    changed(before, after)
    line = refusal(capsys, "resume", "quick")
    assert all(word in line for word in text), line
    assert len(world.calls) == 1


def test_other_inputs_and_other_code_are_refused(world, capsys, monkeypatch):
    from synthgap.studies import session

    interrupted(world, 1)
    capsys.readouterr()
    monkeypatch.setattr(session, "code_digest", lambda _stage: "other")
    assert "begun with other code" in refusal(capsys, "resume", "quick")
    monkeypatch.setattr(session, "code_digest", lambda _stage: "c0de")
    inner = session.open_attempt
    monkeypatch.setattr(session, "open_attempt", lambda plan, place: inner(plan, place)[::1])
    monkeypatch.setattr(
        session,
        "open_attempt",
        lambda plan, place: (session.replace(plan, inputs={"sets/train": "2" * 64}), world),
    )
    assert "inputs" in refusal(capsys, "resume", "quick")


def test_a_study_that_its_params_no_longer_describe_is_refused(world, capsys):
    interrupted(world, 1)
    capsys.readouterr()
    changed("\n  quick:\n", "\n  quicker:\n")
    assert "did you mean `quicker`" in refusal(capsys, "resume", "quick")


@pytest.mark.parametrize("command", [["resume", "quick"], ["work", "--study", "quick"]])
def test_nothing_to_go_on_with_is_one_line(world, capsys, command):
    assert "`synthgap study run quick` makes it" in refusal(capsys, *command)
    assert not Path("mlruns").exists()


def test_a_failed_trial_tells_its_reason(world, capsys):
    changed("      guide.rg.lambda_1: {low: 0.05, high: 0.95, step: 0.05, log: false}\n    finals",
            "      guide.rg.lambda_1: [0.25, 0.95]\n    finals")  # fmt: skip
    changed("    first: []\n    grid: [guide.image_set.guidance_scale, guide.augmentation]\n"
            "    space:\n      guide.image_set.guidance_scale: [1.0, 2.0]",
            "    first: [{guide.rg.lambda_1: 0.95}]\n    grid: []\n"
            "    space:\n      guide.image_set.guidance_scale: [1.0, 2.0]")  # fmt: skip
    assert main(["study", "run", "quick", "--trials", "2"]) == 0
    output = capsys.readouterr().out
    assert re.search(r"t01  first +failed +loss is nan; lower the learning rate", output)
    assert "winner: the default" in output
    assert "nothing to apply, the default won" in output


def test_a_password_typed_behind_storage_is_warned_of(world, capsys):
    url = "postgresql+psycopg://ada:s3cret@127.0.0.1:1/studies"
    assert main(["study", "run", "quick", "--storage", url]) == 1
    output = capsys.readouterr()
    assert "SYNTHGAP_STUDIES" in output.err
    assert "s3cret" not in output.err + output.out
    assert "ada:***@127.0.0.1" in output.err

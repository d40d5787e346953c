import json
import re
from dataclasses import replace

import pytest
from made_up_study import AUGMENTATION, LAMBDA, SCALE, Made, study_run, write_study

from synthgap.errors import DataError
from synthgap.reporting.studies import StudyFindings, running_best, value
from synthgap.reporting.studies_axes import Axis, fenced, limits
from synthgap.reporting.studies_names import key_name, key_names, score, score_spread, wrapped
from synthgap.reporting.studies_section import studies_section
from synthgap.reporting.studies_sentences import by_chance, study_sentences
from synthgap.reporting.studies_tables import finals_table, labels_table, trials_table, tried


def _found(made=None, **study):
    run = study_run(made or Made())
    run["study"] |= study
    return StudyFindings(run)


def _line(found, word):
    sentences = [text for text in study_sentences(found) if word in text]
    return sentences[0] if sentences else None


def _verdict(mean, low, high):
    held = _found().study["verdict"]
    return held | {"difference": held["difference"] | {"mean": mean, "low": low, "high": high}}


def test_the_scope_counts_every_state_and_calls_single_runs_so():
    text = study_sentences(_found())[0]
    assert text.startswith("Study tune of RG + PG-R + PG-F (low-shot): 40 trials over 6 parameters")
    assert "27 complete, 12 pruned, 1 failed" in text
    assert "88.5 % (single run), against 83.8 % (single run) of the default" in text
    assert "n=3" in study_sentences(_found(Made(seeds=(0, 1, 2))))[0]


def test_the_verdict_is_resolved_only_where_the_interval_excludes_zero():
    assert "88.4 ± 0.5 % (n=4), the default 86.7 ± 0.3 % (n=4): +1.7 [0.8, 2.6] points" in _line(
        _found(), "On test"
    )
    gain, none, loss = (
        _line(_found(verdict=_verdict(*ends)), "On test")
        for ends in ((0.9, 0.1, 1.7), (0.9, -0.1, 1.9), (-0.9, -1.7, -0.1))
    )
    assert gain.endswith("4 paired seeds), resolved: tuning gains.")
    assert none.endswith("not resolved: the interval holds 0.")
    assert loss.endswith("resolved: tuning loses.")
    assert "no interval), not resolved" in _line(_found(verdict=_verdict(1.0, None, None)), "test")


def test_a_default_that_wins_is_said_to():
    found = _found()
    default = {"trial": "default", "tuned": found.default}
    text = _line(_found(winner=default), "no trial beats the default")
    assert "tuning changes nothing here, and on test the default has 86.7 ± 0.3 % (n=4)" in text


def test_joint_tuning_is_held_against_the_sum_of_both_alone():
    grid = _found().study["grid"]
    sides = [
        _line(_found(grid=grid | {"predicted": grid["joint"]["score"] + off}), "Tuned apart")
        for off in (1.0, 0.0, -1.0)
    ]
    assert "1.0 points below the sum" in sides[0]
    assert "the same as the sum" in sides[1]
    assert "1.0 points above the sum" in sides[2]
    assert "guidance scale alone +1.7 points (at 1)" in sides[0]
    assert _line(_found(grid=grid | {"predicted": None}), "Tuned apart") is None
    cells = [[None, *row[1:]] for row in grid["cells"]]
    assert "3 of 9 have no value" in _line(_found(grid=grid | {"cells": cells}), "Tuned apart")


def test_labels_that_the_objective_spends_make_it_not_data_free():
    labels = _found().study["labels"]
    assert _line(_found(), "spends").endswith("tuned so is not data-free.")
    assert "spends 90 real labels of val, beside 700 of the generator" in _line(_found(), "spends")
    none = _line(_found(labels=labels | {"objective": 0}), "spends")
    assert none.startswith("Choosing by val accuracy spends no real label of val, beside 700")
    assert "data-free" not in none
    free = dict.fromkeys(labels, 0)
    assert _line(_found(labels=free, data_free=True), "spends").endswith(": it is data-free.")
    unknown = _line(_found(labels=labels | {"generator": None}), "spends")
    assert "an unknown number of the generator" in unknown


def test_steps_are_held_against_unpruned_full_share():
    found = _found(num_steps=300, full_steps=1200)
    assert "300 optimiser steps, 25 % of the 1,200" in _line(found, "steps")
    assert "pruning spared none" in _line(_found(num_steps=1200, full_steps=1200), "steps")


def test_label_free_metrics_are_ranked_and_chance_is_named():
    ranks = {
        "holdout": {"spearman": 0.1, "n": 20}, "agreement": {"spearman": 0.7, "n": 20},
        "clip_score": {"spearman": None, "n": 20}, "val/ece": {"spearman": -0.9, "n": 20},
    }  # fmt: skip
    text = _line(_found(correlations=ranks), "Without real labels")
    assert "agreement 0.70 (n=20); synthetic hold-out accuracy 0.10 (n=20, no more than" in text
    assert text.endswith("agreement ranks settings most as val does.")
    assert "calibration" not in text
    against = {"holdout": {"spearman": -0.8, "n": 20}}
    text = _line(_found(correlations=against), "Without real labels")
    assert text.endswith("none of them ranks settings as val does.")
    assert by_chance(0.99, 3)
    assert not by_chance(0.5, 20)


def test_a_front_is_told_by_its_ends():
    found = _found(Made(name="labels", objectives=("val/top1", "real_labels"), watched=()))
    text = _line(found, "front")
    reached = score("val/top1", value(found.best, "val/top1"))
    assert text.startswith(
        f"Pareto front of val accuracy and real labels: {len(found.front)} trials"
    )
    assert f" to trial {found.best['trial']} (val accuracy {reached} % (single run), real" in text
    assert len(found.front) > 2


def test_the_best_so_far_is_complete_and_within_all_bounds():
    run = study_run()
    run["runs"][12]["values"]["val/top1"] = 99.0
    run["runs"][12]["feasible"] = False
    found = StudyFindings(run)
    steps = running_best(found, found.objectives[0])
    assert steps == sorted(steps)
    assert [reached for _, reached in steps] == sorted(reached for _, reached in steps)
    assert 12 not in [slot for slot, _ in steps]
    pruned = found.having("pruned")[0]
    assert value(pruned, "val/top1") == pruned["epochs"][-1]["val/top1"]
    assert pruned["trial"] not in [slot for slot, _ in steps]


def test_finals_are_no_trials():
    found = _found()
    assert len(found.content["runs"]) > len(found.trials) == 40


def test_keys_have_words_where_they_have_some():
    assert key_name(SCALE) == "guidance scale"
    assert [key_name("guide.rg.lambda_1"), key_name("guide.pg.lambda_3.kl")] == ["λ₁", "λ₃ (kl)"]
    assert key_name("protocols.low-shot.real_per_class") == "real images a class"
    both = [f"protocols.{name}.real_per_class" for name in ("low-shot", "few")]
    assert len(set(key_names(both).values())) == 2
    long = [f"guide.{'very_' * 8}long_{k}.end" for k in range(2)]
    names = key_names(long)
    assert names[long[1]].endswith("long_1.end")
    assert max(map(len, names.values())) <= 28
    assert max(map(len, wrapped(long[0], 12).split("\n"))) <= 12


def test_keys_come_by_their_importance():
    found = _found(importances={LAMBDA: 0.9, SCALE: 0.1})
    assert found.keys[:2] == [LAMBDA, SCALE]


def test_an_axis_spreads_choices_and_logs():
    found = _found()
    scale = Axis.of(found, SCALE)
    assert [scale.place(each) for each in (1.0, 2.0, 7.5)] == [0.0, 0.5, 1.0]
    rate = Axis.of(found, "training.base_lr")
    assert rate.place(2**0.5) == pytest.approx(0.5)
    assert [name for _, name in rate.ticks()] == ["0.5", "1.4", "4"]
    assert rate.place(None) is None
    assert Axis.of(found, AUGMENTATION).place("autoaugment") is None


def test_an_axis_holds_a_default_outside_its_space():
    run = study_run()
    run["study"]["default"] |= {SCALE: 3.0, LAMBDA: 2.0}
    found = StudyFindings(run)
    assert Axis.of(found, SCALE).choices == (1.0, 2.0, 3.0, 7.5)
    assert Axis.of(found, LAMBDA).high == 2.0


def test_a_few_steps_are_choices_whatever_noise_their_floats_have():
    run = study_run()
    run["study"]["space"][LAMBDA] = {"low": 0.1, "high": 0.4, "step": 0.1, "log": False}
    run["study"]["default"][LAMBDA] = 0.1
    for row in run["runs"]:
        row["tuned"][LAMBDA] = 0.1 + 0.1 + 0.1
    scale = Axis.of(StudyFindings(run), LAMBDA)
    assert scale.choices == (0.1, 0.2, 0.3, 0.4)
    assert scale.place(0.1 + 0.2) == pytest.approx(2 / 3)


def test_a_failed_trial_has_no_value():
    run = study_run()
    run["runs"][17] |= {"values": {"val/top1": 10.0}, "epochs": [{"epoch": 1, "val/top1": 10.0}]}
    found = StudyFindings(run)
    assert value(found.trial(17), "val/top1") is None
    assert trials_table(found).rows[17][3] == "\N{EM DASH}"


def test_a_value_far_off_does_not_flatten_the_rest():
    low, high = fenced([*range(80, 90), 0.0])
    assert low > 40
    assert high > 89
    assert fenced([5.0]) == (4.5, 5.5)


def test_trials_pruned_at_once_do_not_flatten_the_complete_ones():
    run = study_run()
    for row in run["runs"]:
        if row["state"] == "pruned":
            row["epochs"] = [{"epoch": 1, "val/top1": 10.0}]
    low, high = limits(StudyFindings(run), "val/top1")
    assert low > 60
    assert high > 88
    assert limits(_found(Made(ended=0, finished=False)), "val/top1") is None


def test_numbers_have_spread_and_count():
    one = {"mean": 88.25, "std": 0.0, "n": 1, "over": "seeds"}
    assert score_spread("val/top1", one) == "88.2 % (single run)"
    assert score_spread("val/top1", one | {"std": 0.44, "n": 3}) == "88.2 ± 0.4 % (n=3)"
    assert score("real_labels", 50.0, unit=True) == "50"
    assert score_spread("real_labels", one | {"mean": 50.0, "n": 2}) == "50"


def test_tables_hold_every_trial_the_winner_and_the_labels():
    found = _found()
    trials = trials_table(found)
    assert len(trials.rows) == 40
    assert trials.caption == "Every trial is a single run."
    assert [row[1] for row in trials.rows][:2] == ["default", "grid"]
    states = [row[2] for row in trials.rows]
    assert states[17] == "failed"
    assert states[22] == "complete, beyond a bound"
    assert states[20].startswith("pruned at")
    assert states[20].endswith("begun 2 times")
    assert set(trials.rows[20][3:7]) == {"\N{EM DASH}"}
    finals = finals_table(found)
    assert finals.rows[0][0].endswith(", winner")
    assert finals.rows[-1][:2] == ["default", "nothing"]
    assert dict(labels_table(found).rows)["training the generator"] == "700"
    assert tried({"low": 0.5, "high": 4.0, "step": None, "log": True}) == "0.5 to 4 (log)"


def test_a_final_without_a_mean_is_said_to_have_failed():
    finals = _found().study["finals"]
    finals[1] |= {"val": None, "score": None}
    assert finals_table(_found(finals=finals)).rows[1][2] == "failed"


def test_what_is_no_study_is_refused_in_a_line(tmp_path):
    with pytest.raises(DataError, match="run `synthgap study run` first"):
        StudyFindings.read(tmp_path / "run.json")
    (tmp_path / "run.json").write_text(json.dumps({"runs": []}))
    with pytest.raises(DataError, match="lacks study, recipe") as caught:
        StudyFindings.read(tmp_path / "run.json")
    assert "\n" not in str(caught.value)
    assert StudyFindings.read(write_study(tmp_path / "run.json")).recipe == "digits"


def test_the_section_follows_guidance_and_is_not_run_without_a_study(reported, summary):
    page = (reported.report / "index.html").read_text(encoding="utf-8")
    keys = re.findall(r'<section id="digits-([a-z]+)"', page)
    assert keys[keys.index("guide") + 1] == "tune"
    assert f"<li>{study_sentences(StudyFindings(summary.tune))[0]}</li>" in page
    bare = studies_section(replace(summary, tune=None))
    assert [block.html() for block in bare.blocks] == ['<p class="missing">not run</p>']

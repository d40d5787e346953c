from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from synthgap.jobs import Artifacts
from synthgap.params import read_params
from synthgap.params.studies import SearchInterval
from synthgap.studies.trials.image_sets import sets_of
from synthgap.studies.trials.plan import StudyPlan

ROOT = Path(__file__).resolve().parents[3]
SCALE, SCHEME = "guide.image_set.guidance_scale", "guide.image_set.scheme"


def found(space, tmp_path, monkeypatch, *, kept=()) -> dict[str, bool]:
    from synthgap.generation.synthesis import planning, synthesize

    params = read_params(ROOT / "recipes" / "digits.yaml")
    study = replace(params.tune.study, space=space, grid=(), first=())
    monkeypatch.setattr(
        planning, "planned_set", lambda _asked, _place, name: SimpleNamespace(name=name)
    )
    monkeypatch.setattr(synthesize, "cached_set", lambda plan: tmp_path / plan.name)
    for name in kept:
        (tmp_path / name).mkdir()
    return sets_of(StudyPlan("x", study, params), Artifacts(tmp_path, "digits"))


def test_every_set_that_a_trial_can_name_is_there_or_not(tmp_path, monkeypatch):
    space = {SCALE: (1.0, 2.0), SCHEME: ("template", "definition")}
    assert found(space, tmp_path, monkeypatch, kept=("g2.0", "g1.0-definition")) == {
        "g1.0": False,
        "g1.0-definition": True,
        "g2.0": True,
        "g2.0-definition": False,
    }


def test_intervals_are_their_steps(tmp_path, monkeypatch):
    space = {SCALE: SearchInterval(1.0, 2.0, 0.1, log=False)}
    names = list(found(space, tmp_path, monkeypatch))
    assert names == [f"g{round(1 + index / 10, 1)}" for index in range(11)]


def test_a_study_that_names_no_set_has_the_one_of_params(tmp_path, monkeypatch):
    space = {"guide.rg.lambda_1": SearchInterval(0.1, 0.9, None, log=False)}
    assert found(space, tmp_path, monkeypatch) == {"g2.0": False}

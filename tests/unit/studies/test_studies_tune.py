"""The stage around a study whose trials are a rule: real files, real params, no training."""

import json
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import pytest
from search_world import EPOCHS, LAMBDA, STUDY, KilledError, Rule

from synthgap.errors import ParamsError, TrainingError
from synthgap.experiments import settings
from synthgap.jobs import Artifacts, silent
from synthgap.params import parse_params
from synthgap.params.recipes import resolve
from synthgap.studies.trials import tune as stage
from synthgap.studies.trials.plan import AttemptReport
from synthgap.studies.trials.tune import TuneParams, stage_plan, tune

SETTINGS = {"guide.epochs": EPOCHS, "training.last_epochs": 2}
ENVIRONMENT = {"torch": "2", "threads": 1}


@pytest.fixture(scope="module")
def shipped():
    return parse_params(text_of("digits"), place="tests")


@pytest.fixture(autouse=True)
def _recipes_are_read_once(monkeypatch):
    """Each reading of a recipe takes most of a second."""
    monkeypatch.setattr(settings, "resolve", lambda _folder, name: text_of(name))
    monkeypatch.setattr(settings, "parse_params", parsed)


@pytest.fixture
def artifacts(tmp_path):
    """A checkout that has nothing."""
    return Artifacts(tmp_path, "digits")


RECIPES = Path(__file__).resolve().parents[3] / "recipes"
parsed = cache(parse_params)


@cache
def text_of(name):
    return resolve(RECIPES, name)


def params_of(shipped, *, base="digits", settings=SETTINGS, **study):
    own = {"trials": 14, **study}
    section = replace(shipped.tune, base=base, settings=settings, study=replace(STUDY, **own))
    whole = replace(shipped, tune=section)
    return TuneParams(**{item.name: getattr(whole, item.name) for item in fields(TuneParams)})


class Scored:
    """In place of the one scoring on the test images; it counts its calls."""

    def __init__(self):
        self.calls = []

    def __call__(self, plan, winner, artifacts):
        self.calls.append(winner)
        return {"seeds": [20, 21], "winner": [90.0, 91.0], "default": [89.0, 89.5]}


@pytest.fixture
def scored(monkeypatch):
    found = Scored()
    about = {"environment": ENVIRONMENT, "num_val": 100}
    monkeypatch.setattr(stage, "verdict", found)
    monkeypatch.setattr("synthgap.jobs.work.code_digest", lambda _stage: "c" * 64)
    monkeypatch.setattr(stage, "surroundings", lambda plan, artifacts: about)
    return found


def made(monkeypatch, params, artifacts, attempt, log=silent):
    """The bytes of run.json."""
    monkeypatch.setattr(
        stage, "open_attempt", lambda plan, artifacts: (replace(plan, inputs={"x": "0"}), attempt)
    )
    tune(params, artifacts, log)
    return (artifacts.stage("tune") / "run.json").read_bytes()


def test_it_writes_its_trials_its_finals_and_one_verdict(monkeypatch, shipped, artifacts, scored):
    lines = []
    written = made(
        monkeypatch, params_of(shipped), artifacts, Rule(), lambda *one: lines.append(one)
    )
    record = json.loads(written)
    kinds = [run["kind"] for run in record["runs"]]
    assert kinds[:14] == ["default", *["grid"] * 8, "first", *["search"] * 4]
    assert kinds[14:] == ["final"] * len(kinds[14:])
    assert len(kinds) in (14 + 4, 14 + 6)  # two candidates, and the default where it is not one
    study = record["study"]
    assert sum(study["counts"].values()) == study["trials"] == 14
    assert study["verdict"] == {"seeds": [20, 21], "winner": [90.0, 91.0], "default": [89.0, 89.5]}
    assert scored.calls == [study["winner"]]
    assert record["environment"] == ENVIRONMENT
    assert record["params"]["tune"]["study"]["trials"] == 14
    assert {digest for digest, _ in lines} == {run["digest"] for run in record["runs"]}


@pytest.mark.parametrize("stop_at", [4, 11, 17])
def test_killed_anywhere_it_ends_with_the_same_bytes(
    monkeypatch, shipped, artifacts, scored, tmp_path, stop_at
):
    params = params_of(shipped)
    other = Artifacts(tmp_path / "other", "digits")
    whole = made(monkeypatch, params, other, Rule())
    with pytest.raises(KilledError):
        made(monkeypatch, params, artifacts, Rule(stop_at=stop_at))
    again = Rule()
    assert made(monkeypatch, params, artifacts, again) == whole
    assert len(again.calls) == len_of_calls(whole) - done_before(stop_at, whole)


def attempts_of(run):
    return len(run["epochs"]) // EPOCHS + bool(len(run["epochs"]) % EPOCHS)


def len_of_calls(whole):
    return sum(attempts_of(run) for run in json.loads(whole)["runs"])


def done_before(stop_at, whole):
    """Attempts of the runs that had ended before an attempt was killed."""
    done = 0
    for run in json.loads(whole)["runs"]:
        if done + attempts_of(run) > stop_at:
            break
        done += attempts_of(run)
    return done


def test_a_finished_study_is_left_alone(monkeypatch, shipped, artifacts, scored):
    attempt = Rule()
    first = made(monkeypatch, params_of(shipped), artifacts, attempt)
    before = len(attempt.calls)
    assert made(monkeypatch, params_of(shipped), artifacts, attempt) == first
    assert len(attempt.calls) == before
    assert len(scored.calls) == 1


def test_what_apply_writes_changes_no_trial(shipped, artifacts):
    asked = {item.name for item in fields(TuneParams)}
    assert not asked & {"training", "guide", "protocols"}
    guide = stage_plan(params_of(shipped), artifacts).base.guide
    assert guide == replace(shipped.guide, epochs=EPOCHS)


def test_the_rest_comes_from_params(shipped, artifacts):
    params = replace(params_of(shipped), seed=7)
    base = stage_plan(params, artifacts).base
    assert (base.seed, base.recipe, base.training.last_epochs) == (7, "digits", 2)
    named = stage_plan(params, Artifacts(artifacts.root, "mine")).base
    assert named.recipe == "mine"


def test_without_a_base_the_recipe_itself_is_it(shipped, artifacts):
    pets = Artifacts(artifacts.root, "mtg_pets")
    plan = stage_plan(params_of(shipped, base=None), pets)
    own = parsed(text_of("mtg_pets"), place="tests")
    assert plan.base.training.batch_size == own.training.batch_size
    assert plan.base.student != own.student


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"settings": {"student.temperature": 0.2}}, r"tune.settings: student.temperature, exp"),
        (
            {"space": {"synthesize.steps": (10, 15)}, "grid": (), "first": ()},
            r"tune.study.space: synthesize.steps, expected keys of guide, training, protocols",
        ),
        (
            {"space": {"guide.rg.lambda_4": (1.0,)}, "grid": (), "first": ()},
            r"tune.study: .*guide.rg.lambda_4",
        ),
        (
            {"space": {LAMBDA: (0.25, -1.0)}, "grid": (), "first": ()},
            r"tune.study: .*lambda_1: -1.0",
        ),
        ({"trials": 5}, r"trials: 5, but the default"),
        ({"base": "nowhere"}, r"recipe 'nowhere': unknown"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_any_attempt(
    monkeypatch, shipped, artifacts, changed, problem
):
    attempt = Rule()
    with pytest.raises(ParamsError, match=problem) as refused:
        made(monkeypatch, params_of(shipped, **changed), artifacts, attempt)
    assert "\n" not in str(refused.value)
    assert attempt.calls == []


def test_a_search_without_a_complete_trial_says_why(monkeypatch, shipped, artifacts, scored):
    class Never(Rule):
        def __call__(self, values, **where):
            yield AttemptReport(1, 1, {"val/top1": 10.0})
            raise TrainingError("loss is nan")

    with pytest.raises(TrainingError, match=r"none of 14 trials .* failed: loss is nan"):
        made(monkeypatch, params_of(shipped), artifacts, Never())
    assert scored.calls == []

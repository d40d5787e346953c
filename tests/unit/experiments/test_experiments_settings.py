"""What all students share is written once, and nothing trains by anything else."""

from dataclasses import fields, replace

import pytest

from synthgap.errors import ParamsError
from synthgap.experiments.settings import (
    SettingsParams,
    require_settings,
    require_tune_base,
    tune_base,
    write_settings,
)
from synthgap.jobs import Artifacts, read_json
from synthgap.params import read_params


@pytest.fixture
def params(checkout):
    return read_params(checkout / "params.yaml")


@pytest.fixture
def artifacts(tmp_path, checkout):
    (tmp_path / "recipes").symlink_to(checkout / "recipes")
    return Artifacts(tmp_path, "digits")


def _write(params, artifacts):
    shape = {field.name: getattr(params, field.name) for field in fields(SettingsParams)}
    write_settings(SettingsParams(**shape), artifacts)


def test_the_file_holds_what_every_training_reads_and_no_more(params, artifacts):
    _write(params, artifacts)
    shared = read_json(artifacts.stage("settings") / "student.json")
    assert set(shared) == {"seed", "threads", "data", "student", "training"}
    assert shared["training"]["epochs"] == params.training.epochs
    before = (artifacts.stage("settings") / "student.json").read_bytes()
    _write(replace(params, train=replace(params.train, seeds=(7,))), artifacts)
    assert (artifacts.stage("settings") / "student.json").read_bytes() == before


def test_other_settings_than_the_recorded_ones_are_refused(params, artifacts):
    require_settings(params, artifacts)  # no file: nothing was recorded
    _write(params, artifacts)
    require_settings(params, artifacts)
    changed = replace(params, training=replace(params.training, epochs=99))
    with pytest.raises(ParamsError, match=r"student\.json.*dvc repro settings@digits"):
        require_settings(changed, artifacts)


def test_tuning_begins_with_the_recipe_as_shipped(params, artifacts):
    tuned = replace(params, training=replace(params.training, epochs=99))  # as `apply` writes it
    _write(tuned, artifacts)
    written = read_json(artifacts.stage("settings") / "tune.json")
    base = tune_base(params.tune, artifacts)
    assert set(written) == {"guide", "training", "protocols"}
    assert written["training"]["epochs"] == base.training.epochs != 99
    require_tune_base(base, artifacts)
    with pytest.raises(ParamsError, match=r"tune\.json.*base recipe of tune"):
        require_tune_base(tuned, artifacts)


def test_a_recipe_of_ones_own_has_no_base_and_trains_all_the_same(params, artifacts):
    _write(params, replace(artifacts, recipe="mine"))
    folder = replace(artifacts, recipe="mine").stage("settings")
    assert read_json(folder / "tune.json") == {}
    assert read_json(folder / "student.json")["seed"] == params.seed

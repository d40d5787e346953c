from dataclasses import replace

import numpy as np
import pytest
import torch
from experiments_world import CLASSES, make_world

from synthgap.errors import ParamsError
from synthgap.experiments.guide import GuideParams, ProtocolRuns, guide
from synthgap.experiments.runs.sources import open_source
from synthgap.guidance.methods import METHODS
from synthgap.jobs import read_json, silent
from synthgap.models.reference import (
    NetworkSpec,
    Preprocessing,
    ReferenceOrigin,
    save_reference,
)
from synthgap.params.guidance import GuideProtocol

LOW = GuideProtocol(2, None, "random", compared=("pooled", "rg"), methods=("adda", "real"))
ZERO = GuideProtocol(0, None, "random", compared=("synthetic",), methods=("bound", "pg-kl"))
STARTED = GuideProtocol(2, 1.0, "reference", compared=("pooled",), methods=())


@pytest.fixture(scope="module")
def world(tmp_path_factory, checkout):
    made = make_world(tmp_path_factory.mktemp("guide"), checkout)
    student = made.params.student
    for name, (model, options) in {
        "tutor": ("resnet10t", {"channels": (8, 8, 8, 16), "stem_width": 8}),
        "twin": (student.model, student.options),
    }.items():
        shape = NetworkSpec(model, options, student.stem, outputs=4)
        save_reference(
            made.artifacts.stage("references") / name,
            shape.built(seed=3, place="here").state_dict(),
            shape,
            Preprocessing(16, (0.5,) * 3, (0.5,) * 3),
            ReferenceOrigin("train", "rotation", "corpus", "0" * 64, 24, 0),
        )
    changed = made.changed("guide", seeds=(0, 1), epochs=2)
    protocols = {"low": LOW, "zero": ZERO, "started": STARTED}
    return replace(changed, params=replace(changed.params, protocols=protocols))


def table(world, name):
    return ProtocolRuns.open(world.sections(GuideParams), world.artifacts, name)


def test_compared_methods_have_every_seed_and_the_others_the_first(world):
    runs = [(plan.method_spec.method, plan.seed) for plan in table(world, "low").plans()]
    assert runs == [("pooled", 0), ("pooled", 1), ("rg", 0), ("rg", 1), ("adda", 0), ("real", 0)]


def test_methods_of_a_seed_see_the_same_few_real_images_and_seeds_see_others(world):
    plans = {(p.method_spec.method, p.seed): p for p in table(world, "low").plans()}
    few = plans["real", 0].indices
    assert np.array_equal(few, plans["pooled", 0].indices[:6])
    assert np.array_equal(few, plans["adda", 0].indices[:6])
    assert not np.array_equal(few, plans["pooled", 1].indices[:6])
    labels = open_source(world.artifacts, "train", 16).images.labels[few]
    assert np.bincount(labels).tolist() == [2, 2, 2]


def test_a_method_without_real_labels_is_handed_none(world):
    plans = {p.method_spec.method: p for p in table(world, "low").plans()}
    shown = plans["adda"].source.labelled.labels[torch.from_numpy(plans["adda"].indices)]
    assert (shown[:6] == -1).all()
    assert (shown[6:] >= 0).all()
    assert plans["adda"].coordinates()["real_labels"]["student"] == 0
    assert plans["pooled"].coordinates()["real_labels"]["student"] == 6
    assert plans["adda"].method_spec.num_real == 6


def test_zero_shot_sees_no_real_image_but_for_the_bound(world):
    plans = {p.method_spec.method: p for p in table(world, "zero").plans()}
    assert plans["synthetic"].source.name == plans["pg-kl"].source.name == "g2.0"
    assert plans["bound"].num_real == 8 * len(CLASSES)


def test_every_method_of_a_protocol_has_as_many_steps(world):
    for name in ("low", "zero"):
        assert len({plan.steps_per_epoch for plan in table(world, name).plans()}) == 1


def test_a_ratio_is_of_synthetic_images_to_real_ones(world):
    (plan, _) = table(world, "started").plans()
    assert (plan.method_spec.num_real, plan.method_spec.num_synthetic) == (6, 6)
    assert plan.method_spec.student.init == "file"
    assert "references" in next(iter(plan.method_spec.inputs))


def test_a_method_that_needs_real_images_is_refused_without(world):
    protocols = {"zero": replace(ZERO, methods=("rg",))}
    short = replace(world, params=replace(world.params, protocols=protocols))
    with pytest.raises(ParamsError, match=r"protocols.zero: rg needs real images"):
        table(short, "zero")
    with pytest.raises(ParamsError, match=r"grid.guides: 'huge', expected one of protocols"):
        table(world, "huge")


def test_more_images_than_there_are_are_refused_by_name(world):
    for protocol, output in (
        (replace(LOW, real_per_class=9), "real_per_class: 9 images a class of train, but bright"),
        (replace(STARTED, synthetic_ratio=5.0), "synthetic_ratio: 10 images a class of g2.0"),
    ):
        short = replace(world, params=replace(world.params, protocols={"few": protocol}))
        with pytest.raises(ParamsError, match=rf"protocols\.few\.{output}"):
            table(short, "few").plans()


@pytest.mark.parametrize("name", ["low", "zero", "started"])
def test_a_cell_is_made_and_says_what_each_run_used(world, name):
    guide(world.sections(GuideParams), world.artifacts, silent, protocol=name)
    about = read_json(world.artifacts.cell("guide", name) / "run.json")
    wanted = [plan.method_spec.method for plan in table(world, name).plans()]
    assert [run["method"] for run in about["runs"]] == wanted
    for run in about["runs"]:
        given = METHODS[run["method"]].real
        expected = {"none": 0, "images": 0, "all": 24}.get(given, 6)
        assert run["real_labels"]["student"] == expected
        assert run["protocol"] == name
        assert len(run["epochs"]) == 2
        assert np.isfinite(run["last"]["test/top1"]["mean"])

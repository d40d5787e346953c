import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from experiments_world import make_world

from synthgap.errors import CheckpointError
from synthgap.experiments.layers import MAX_FEATURES, LayersParams, layers, pairs, thinned
from synthgap.jobs import read_json
from synthgap.models.build import build_student
from synthgap.models.units import units_of


@pytest.fixture(scope="module")
def found(prepared):
    layers(prepared.sections(LayersParams), prepared.artifacts)
    return read_json(prepared.artifacts.stage("layers") / "layers.json")


def test_every_student_is_probed_after_every_unit(found, prepared):
    model = build_student(prepared.params.student, 3, seed=0)
    units = [unit.name for unit in units_of(model)]
    assert found["units"] == units
    wanted = [
        (kind, seed, unit) for kind in ("real", "synthetic") for seed in (0, 1) for unit in units
    ]
    rows = found["probes"]
    assert [(row["source"], row["seed"], row["unit"]) for row in rows] == wanted
    assert all(0 <= row["top1"] <= 100 for row in rows)
    assert rows[0]["top1"] > 80  # brightness is all there is to see, and the stem sees it


def test_similarity_is_given_unit_by_unit_and_each_with_each(found):
    count = len(found["units"])
    kinds = [row["pair"] for row in found["cka"]]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "real~synthetic": 2 * count,
        "real~real": count,
        "synthetic~synthetic": count,
    }
    matrix = np.asarray(found["matrix"]["real~synthetic"])
    assert matrix.shape == (count, count)
    assert np.abs(matrix).max() <= 1
    diagonal = [
        np.mean(
            [
                row["value"]
                for row in found["cka"]
                if (row["pair"], row["unit"]) == ("real~synthetic", unit)
            ]
        )
        for unit in found["units"]
    ]
    assert np.diag(matrix) == pytest.approx(diagonal, abs=1e-5)


def test_it_says_how_many_images_were_looked_at(found):
    assert found["images"] == {"cka": 12, "probe_train": 12, "probe_test": 12}
    assert set(found["inputs"]) >= {"artifacts/sets/digits/train", "artifacts/sets/digits/test"}


def test_equal_inputs_give_equal_bytes(found, tmp_path, checkout):
    world = make_world(tmp_path, checkout)
    layers(world.sections(LayersParams), world.artifacts)
    again = (world.artifacts.stage("layers") / "layers.json").read_text()
    assert json.loads(again) == found


def test_a_missing_student_is_named(tmp_path, checkout):
    world = make_world(tmp_path, checkout)
    world.artifacts.cell("train", "g2.0").joinpath("student-s1.json").unlink()
    with pytest.raises(CheckpointError, match=r"student-s1.json: missing"):
        layers(world.sections(LayersParams), world.artifacts)


def test_another_student_than_the_one_trained_is_refused(prepared):
    other = replace(prepared.params.student, options={"channels": (16, 8, 8, 8), "stem_width": 8})
    world = replace(prepared, params=replace(prepared.params, student=other))
    with pytest.raises(CheckpointError, match="use a donor of the same student"):
        layers(world.sections(LayersParams), world.artifacts)


def test_compared_students_never_share_a_start():
    assert [(one[1], other[1]) for one, other in pairs((0, 1, 2))] == 3 * [(0, 1), (1, 2), (2, 0)]
    assert pairs((4,)) == [(("real", 4), ("synthetic", 4))]  # of one seed there is no other


@pytest.mark.parametrize(
    "shape", [(2, 10), (2, 8, 5, 5), (2, 64, 40, 40), (2, 40, 40, 64), (2, 300, 64)]
)
def test_large_maps_are_averaged_over_places_and_small_ones_kept(shape):
    maps = torch.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    rows = thinned(maps)
    assert rows.shape[0] == 2
    assert rows.shape[1] <= MAX_FEATURES
    if maps[0].numel() <= MAX_FEATURES:
        assert torch.equal(rows, maps.flatten(1))
    assert rows.mean(1).tolist() == pytest.approx(maps.flatten(1).mean(1).tolist(), rel=1e-2)


def test_where_the_features_stand_changes_nothing():
    maps = torch.rand(2, 64, 40, 40)
    assert torch.equal(thinned(maps), thinned(maps.permute(0, 2, 3, 1)))

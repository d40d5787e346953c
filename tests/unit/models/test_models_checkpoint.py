import json
from dataclasses import replace

import pytest
import torch

from synthgap.errors import CheckpointError
from synthgap.models.build import build_student
from synthgap.models.checkpoint import load_weights, save_model
from synthgap.models.frozen_prefix import load_frozen_prefix, prefix_names
from synthgap.params.sections import Student

TINY = Student(
    "resnet10t",
    {"channels": (8, 8, 8, 8), "stem_width": 8},
    "imagenet",
    "random",
    None,
    "cosine",
    0.1,
)


@pytest.fixture
def model():
    return build_student(TINY, 3, seed=1)


def test_a_saved_student_comes_back_bit_for_bit(tmp_path, model):
    save_model(tmp_path / "s", model, {"seed": 1})
    state, about = load_weights(tmp_path / "s")
    assert about["seed"] == 1
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.json", "s.safetensors"]


def test_changed_weights_are_refused(tmp_path, model):
    save_model(tmp_path / "s", model, {})
    weights = tmp_path / "s.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"s\.safetensors: sha256 .* expected"):
        load_weights(tmp_path / "s")


def test_a_pickle_with_the_right_digest_is_refused(tmp_path, model):
    from synthgap.jobs import file_digest

    torch.save(model.state_dict(), tmp_path / "s.safetensors")
    digest = file_digest(tmp_path / "s.safetensors")
    (tmp_path / "s.json").write_text(json.dumps({"weights_sha256": digest}))
    with pytest.raises(CheckpointError, match="not safetensors"):
        load_weights(tmp_path / "s")


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone\.json: missing"):
        load_weights(tmp_path / "gone")


def test_a_foreign_donor_is_refused(model):
    other = build_student(replace(TINY, model="resnet18", options={}), 3, seed=1)
    with pytest.raises(CheckpointError, match="donor entry"):
        load_frozen_prefix(model, other.state_dict(), 3)


def test_a_depth_beyond_the_units_is_refused(model):
    with pytest.raises(CheckpointError, match="depth 9: expected 0 to 6"):
        prefix_names(model, 9)

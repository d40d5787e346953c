from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from synthgap.errors import CheckpointError, ParamsError
from synthgap.models.build import build_student
from synthgap.models.initial_weights import initial_weights_file
from synthgap.params.students import Student

TINY = Student(
    "resnet10t",
    {"channels": (8, 8, 8, 8), "stem_width": 8},
    "imagenet",
    "random",
    None,
    "linear",
    0.1,
)
PUBLISHED = replace(TINY, model="test_resnet", options={}, init="pretrained")


@pytest.fixture
def weights(tmp_path):
    """A file with every entry of TINY with 5 classes, and a student that starts from it."""
    path = tmp_path / "w.safetensors"
    save_file(build_student(TINY, 5, seed=2).state_dict(), path)
    return path, replace(TINY, init="file", weights=str(path))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub cache without a network, as huggingface_hub lays it out; returns the file in it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--timm--test_resnet.r160_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    return snapshot / "model.safetensors"


def publish(path):
    state = build_student(replace(PUBLISHED, init="random"), 1000, seed=2).state_dict()
    save_file(state, path)
    return state


def test_a_file_gives_all_but_the_classifier(weights):
    path, student = weights
    given, fresh = load_file(path), build_student(TINY, 3, seed=1).state_dict()
    for name, value in build_student(student, 3, seed=1).state_dict().items():
        wanted = fresh if name.startswith("fc.") else given
        assert torch.equal(value, wanted[name]), name


def test_a_head_of_another_kind_may_be_in_the_file(weights):
    started = build_student(replace(weights[1], head="cosine"), 5, seed=1)
    assert not torch.equal(started.fc.weight, load_file(weights[0])["fc.weight"])


def test_a_file_of_another_network_is_refused_by_its_entries(weights):
    path, student = weights
    state = load_file(path)
    del state["bn1.weight"]
    state["layer9.weight"] = torch.zeros(1)
    state["layer1.0.conv1.weight"] = torch.zeros(2, 2)
    save_file(state, path)
    with pytest.raises(
        CheckpointError, match=r"missing: bn1\.weight; foreign: layer9\.weight"
    ) as output:
        build_student(student, 3, seed=1)
    assert "layer1.0.conv1.weight (2, 2) for (8, 16, 3, 3)" in str(output.value)
    assert str(path) in str(output.value)
    assert "\n" not in str(output.value)


def test_what_is_no_safetensors_file_is_refused(weights, tmp_path):
    path, student = weights
    path.write_bytes(b"\x80\x04K\x01.")  # a pickle
    with pytest.raises(CheckpointError, match=r"w\.safetensors: not safetensors"):
        build_student(student, 3, seed=1)
    for other in ("gone.safetensors", "w.pth"):
        (tmp_path / "w.pth").write_bytes(b"")
        with pytest.raises(ParamsError, match=r"student\.weights: .*expected a \.safetensors file"):
            build_student(replace(student, weights=str(tmp_path / other)), 3, seed=1)


def test_published_weights_give_all_but_the_classifier(hub):
    given = publish(hub)
    before = torch.get_rng_state()
    started = build_student(PUBLISHED, 1000, seed=1).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    differ = [name for name, value in started.items() if not torch.equal(value, given[name])]
    assert differ == ["fc.weight", "fc.bias"]
    assert initial_weights_file(PUBLISHED) == hub
    assert initial_weights_file(TINY) is None


def test_a_small_stem_stays_fresh_under_published_weights(hub):
    given = publish(hub)
    small = replace(PUBLISHED, stem="small")
    started = build_student(small, 5, seed=1)
    fresh = build_student(replace(small, init="random"), 5, seed=1)
    assert torch.equal(started.conv1.weight, fresh.conv1.weight)
    assert torch.equal(started.layer1[0].conv1.weight, given["layer1.0.conv1.weight"])


def test_without_a_hub_it_is_one_line(hub):
    with pytest.raises(
        ParamsError, match=r"model\.safetensors of timm/test_resnet\.r160"
    ) as output:
        build_student(PUBLISHED, 5, seed=1)
    assert "set init: file" in str(output.value)
    assert "\n" not in str(output.value)


def test_options_that_published_weights_do_not_fit_are_one_line(hub):
    publish(hub)
    with pytest.raises(ParamsError, match="weights of test_resnet do not fit options") as output:
        build_student(replace(PUBLISHED, options={"channels": (8, 8, 8, 8)}), 5, seed=1)
    assert "\n" not in str(output.value)


def test_a_model_without_published_weights_is_named():
    with pytest.raises(ParamsError, match="publishes no weights of 'convnext_atto_rms'"):
        initial_weights_file(replace(PUBLISHED, model="convnext_atto_rms"))

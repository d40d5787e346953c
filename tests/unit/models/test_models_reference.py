"""References made elsewhere: from a file or the hub, with the classifier that they came with."""

import pytest
import torch
from safetensors.torch import save_file

from synthgap.errors import CheckpointError, ParamsError
from synthgap.models.build import timm_model
from synthgap.models.reference import (
    ReferenceOrigin,
    open_reference,
    pinned_reference,
    save_reference,
)
from synthgap.params.synthesis import NetworkPin

PLACE = "params.yaml, references.tutor.pin"


def state_of(outputs=7):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return timm_model("test_resnet", {}, outputs, place="").state_dict()


def kept(root, weights):
    state, shape, network_input, path = pinned_reference(
        NetworkPin("test_resnet", weights), root=root, place=PLACE
    )
    save_reference(root / "kept", state, shape, network_input, ReferenceOrigin.elsewhere())
    return open_reference(root / "kept"), path


def test_a_file_is_kept_with_its_classifier(tmp_path):
    save_file(state_of(), tmp_path / "w.safetensors")
    (about, network), path = kept(tmp_path, "w.safetensors")
    assert path == tmp_path / "w.safetensors"
    assert all(torch.equal(value, state_of()[name]) for name, value in network.state_dict().items())
    assert (about.network.outputs, about.preprocessing.size_px) == (7, 160)
    assert about.about["title"] == "test_resnet, weights made elsewhere"
    assert (about.about["kind"], about.about["labels_used"]) == ("pin", None)
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


def test_a_file_may_have_no_classifier(tmp_path):
    state = {name: value for name, value in state_of().items() if not name.startswith("fc.")}
    save_file(state, tmp_path / "w.safetensors")
    (about, network), _ = kept(tmp_path, "w.safetensors")
    assert about.network.outputs == 0
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 96)


def test_the_hub_s_weights_come_with_theirs(tmp_path, monkeypatch):
    """A cache as huggingface_hub lays it out, without a network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--timm--test_resnet.r160_in1k"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    save_file(state_of(1000), snapshot / "model.safetensors")
    (about, _), _ = kept(tmp_path, "hub")
    assert about.network.outputs == 1000


def test_other_weights_are_another_reference(tmp_path):
    digests = []
    for outputs in (7, 8):
        save_file(state_of(outputs), tmp_path / "w.safetensors")
        digests.append(kept(tmp_path, "w.safetensors")[0][0].digest)
    assert digests[0] != digests[1]


def test_weights_of_another_network_or_none_are_refused_in_one_line(tmp_path):
    state = state_of()
    state["conv1.weight"] = torch.zeros(3)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(
        CheckpointError, match=r"references\.tutor\.pin, test_resnet.*conv1"
    ) as logged:
        kept(tmp_path, "w.safetensors")
    assert "\n" not in str(logged.value)
    with pytest.raises(ParamsError, match=r"references\.tutor\.pin\.weights: .*nothing"):
        kept(tmp_path, "nothing.safetensors")

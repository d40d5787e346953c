import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from synthgap.errors import CheckpointError, ParamsError
from synthgap.models.batching import BATCH
from synthgap.models.build import timm_model
from synthgap.models.feature_network import open_network
from synthgap.params.sections import NetworkPin

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of timm's smallest network."""
    folder = tmp_path_factory.mktemp("weights")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_file(
            timm_model("test_resnet", {}, 10, place="").state_dict(), folder / "w.safetensors"
        )
    return folder


@pytest.fixture(scope="module")
def network(weights):
    return open_network(NetworkPin("test_resnet", "w.safetensors"), CPU, root=weights)


def test_an_image_has_its_features_whatever_stands_beside_it(network):
    draw = np.random.default_rng(0)
    images = draw.integers(0, 255, (3, 20, 24, 3), dtype=np.uint8)
    found = network.features(images)
    assert found.dtype == np.float32
    assert found.shape == (3, 96)
    assert np.array_equal(network.features(images[1:2])[0], found[1])
    many = network.features(np.concatenate([images] * (BATCH // 3 + 1)))
    assert np.array_equal(many[-3:], found)
    assert not np.array_equal(found[0], found[1])


def test_images_are_seen_at_the_networks_own_size(network):
    assert network.size_px == 160
    flat = np.full((1, 10, 10, 3), 128, np.uint8)
    large = np.full((1, 160, 160, 3), 128, np.uint8)
    assert np.array_equal(network.features(flat), network.features(large))


def test_other_weights_are_another_network(network, weights, tmp_path):
    state = timm_model("test_resnet", {}, 5, place="").state_dict()
    save_file(state, tmp_path / "other.safetensors")
    other = open_network(NetworkPin("test_resnet", "other.safetensors"), CPU, root=tmp_path)
    again = open_network(NetworkPin("test_resnet", "w.safetensors"), CPU, root=weights)
    assert other.digest != network.digest == again.digest


def test_what_cannot_be_opened_says_which_parameter(weights, tmp_path):
    place = r"params\.yaml, fidelity\.feature_network"
    with pytest.raises(ParamsError, match=rf"{place}.weights: .*nowhere.safetensors"):
        open_network(NetworkPin("test_resnet", "nowhere.safetensors"), CPU, root=tmp_path)
    with pytest.raises(ParamsError, match=rf"{place}: timm knows no 'resnut'"):
        open_network(NetworkPin("resnut", "w.safetensors"), CPU, root=weights)
    with pytest.raises(CheckpointError, match=r"w\.safetensors: foreign"):
        open_network(NetworkPin("resnet10t", "w.safetensors"), CPU, root=weights)

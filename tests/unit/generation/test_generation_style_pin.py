import pytest
import torch
from safetensors.torch import save_file
from stylising_case import plain_sets, styled
from torch import nn

from synthgap.errors import GeneratorError, SynthgapError
from synthgap.generation.trainers.adain import (
    VGG19,
    StyleDecoder,
    StyleEncoder,
    StyleTransfer,
    normalising,
)
from synthgap.generation.trainers.style_pin import IMAGENET_MEAN, IMAGENET_STD, pinned_pair
from synthgap.jobs.device import seeded_weights
from synthgap.params.sections import StylePin

PIN = StylePin("encoder.safetensors", "decoder.safetensors")
# Places of the convolutions in torchvision's `features`, and in AdaIN's published sequences.
FEATURES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21)
SEQUENCE = (1, 5, 8, 11, 14, 18, 21, 25, 28)


def convolutions(network):
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def saved(path, layers, names):
    weights = {}
    for name, layer in zip(names, layers, strict=True):
        weights[f"{name}.weight"], weights[f"{name}.bias"] = layer.weight.data, layer.bias.data
    save_file(weights, path)


@pytest.fixture(scope="module")
def random_pair():
    with seeded_weights(1):
        pair = StyleTransfer(
            StyleEncoder(VGG19, normalising(IMAGENET_MEAN, IMAGENET_STD)), StyleDecoder(VGG19)
        )
    pair.requires_grad_(requires_grad=False)
    for layer in convolutions(pair):
        layer.weight *= 6**0.5  # torch's own start shrinks signals to nothing in 18 layers
    convolutions(pair.decoder)[-1].bias.fill_(1.8)  # else below black
    return pair


@pytest.fixture(scope="module")
def folder(random_pair, tmp_path_factory):
    """Random weights as torchvision's VGG-19, one layer longer, and as AdaIN's decoder."""
    root = tmp_path_factory.mktemp("weights")
    further = nn.Conv2d(512, 512, 3)
    layers = [*convolutions(random_pair.encoder), further]
    saved(root / PIN.encoder, layers, [f"features.{place}" for place in FEATURES])
    saved(root / PIN.decoder, convolutions(random_pair.decoder), SEQUENCE)
    return root


def images():
    return torch.rand((2, 3, 24, 24), generator=torch.Generator().manual_seed(2))


def test_published_names_are_put_in_order(random_pair, folder):
    pair = pinned_pair(PIN, root=folder)
    content, style = images(), images().flip(0)
    with torch.no_grad():
        assert torch.equal(pair(content, style), random_pair(content, style))


def test_a_normalised_vgg_begins_with_its_own_colours(random_pair, folder, tmp_path):
    first = nn.Conv2d(3, 3, 1)
    layers = [first, *convolutions(random_pair.encoder)]
    saved(tmp_path / "vgg.safetensors", layers, range(0, 40, 4))
    pin = StylePin(str(tmp_path / "vgg.safetensors"), PIN.decoder)
    pair = pinned_pair(pin, root=folder)
    with torch.no_grad():
        seen = first(images()) * torch.tensor(IMAGENET_STD).view(3, 1, 1)
        seen += torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
        taps, others = pair.encoder(images()), random_pair.encoder(seen)
    assert torch.allclose(taps[-1], others[-1], atol=1e-5)


def test_a_wrong_file_is_one_line(random_pair, folder, tmp_path):
    saved(tmp_path / "short.safetensors", convolutions(random_pair.decoder)[:4], range(4))
    flat = {f"{place}.weight": torch.zeros(3, 3, 3, 3) for place in range(9)}
    save_file(flat, tmp_path / "flat.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    wrong = {
        "missing.safetensors": "expected a .safetensors file",
        "decoder.pth": "expected a .safetensors file",
        "text.safetensors": "not safetensors",
        "short.safetensors": "4 convolutions, expected 9",
        "flat.safetensors": r"0 has the weight \(3, 3, 3, 3\), expected \(256, 512, 3, 3\)",
    }
    for name, message in wrong.items():
        pin = StylePin(PIN.encoder, str(tmp_path / name))
        with pytest.raises(SynthgapError, match=message) as caught:
            pinned_pair(pin, root=folder)
        assert "\n" not in str(caught.value)


def test_torchvisions_weights_without_a_network_are_one_line(folder, monkeypatch):
    from torchvision.models import VGG19_Weights

    def offline(*args, **kwargs):
        assert kwargs["weights_only"]
        raise OSError("no route to host")

    monkeypatch.setattr(VGG19_Weights, "get_state_dict", offline)
    with pytest.raises(GeneratorError, match=r"cannot be had \(no route to host\)"):
        pinned_pair(StylePin("torchvision", PIN.decoder), root=folder)


def test_the_stage_takes_a_pin_and_no_corpus(folder, tmp_path):
    from synthgap.jobs import read_json

    artifacts = plain_sets(tmp_path, count=1)
    (artifacts.image_set("corpus") / "manifest.parquet").unlink()
    (tmp_path / PIN.decoder).hardlink_to(folder / PIN.decoder)
    pin = StylePin(str(folder / PIN.encoder), PIN.decoder)
    made = styled(artifacts, kind="pin", pin=pin, batch_size=2)
    logged = read_json(artifacts.stage("stylise") / "run.json")
    assert logged["runs"] == []
    assert set(logged["weights"]) == {pin.encoder, pin.decoder}
    assert len(made["g2.0"]) == 2

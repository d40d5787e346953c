"""AdaIN's own networks: VGG-19 up to relu4_1 and its decoder, from torchvision or safetensors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from synthgap.errors import GeneratorError
from synthgap.generation.trainers.adain import (
    VGG19,
    StyleDecoder,
    StyleEncoder,
    StyleTransfer,
    normalising,
)
from synthgap.models.checkpoint import read_safetensors, weights_file
from synthgap.params.sections import StylePin

PLACE = "params.yaml, stylise.pin"
TORCHVISION = "torchvision"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Convolution = tuple[str, Tensor, Tensor]  # name, weight, bias


def pinned_pair(pin: StylePin, *, root: Path) -> StyleTransfer:
    """Open encoder and decoder, whatever their files call the convolutions.

    The encoder's file holds VGG-19's convolutions in order, the nine up to relu4_1 or more, and
    they take ImageNet's normalisation; or it begins with a 1x1 convolution of the colours, as the
    normalised VGG-19 of AdaIN does. The decoder's file holds its nine.

    Raises:
        ParamsError: a file is missing.
        CheckpointError: a file is no safetensors.
        GeneratorError: the weights are of another network, or torchvision's cannot be had.
    """
    place, weights = _encoder_weights(pin.encoder, root)
    found = _convolutions(weights)
    colours = normalising(IMAGENET_MEAN, IMAGENET_STD)
    if found and found[0][1].shape == (3, 3, 1, 1):
        colours = found.pop(0)[1:]
    encoder, decoder = StyleEncoder(VGG19, colours), StyleDecoder(VGG19)
    _fill(encoder, found[: len(_layers(encoder))], f"{place}, VGG-19 up to relu4_1")
    path = weights_file(pin.decoder, root=root, place=f"{PLACE}.decoder")
    _fill(decoder, _convolutions(read_safetensors(path)), f"{path}, the decoder of VGG-19")
    return StyleTransfer(encoder, decoder)


def _encoder_weights(encoder: str, root: Path) -> tuple[str, Mapping[str, Tensor]]:
    if encoder != TORCHVISION:
        path = weights_file(encoder, root=root, place=f"{PLACE}.encoder")
        return str(path), read_safetensors(path)
    from torchvision.models import VGG19_Weights

    weights = VGG19_Weights.IMAGENET1K_V1
    try:
        return weights.url, weights.get_state_dict(check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no network, or a damaged download
        reason = str(error).partition("\n")[0]
        raise GeneratorError(
            f"{weights.url}: cannot be had ({reason}); check the network, or set "
            "stylise.pin.encoder to a .safetensors file of VGG-19"
        ) from error


def _convolutions(weights: Mapping[str, Tensor]) -> list[Convolution]:
    """Every convolution in the order of the numbers in its name."""
    names = [name.removesuffix(".weight") for name, weight in weights.items() if weight.ndim == 4]
    names.sort(key=lambda name: ([int(part) for part in re.findall(r"\d+", name)], name))
    nothing = torch.empty(0)
    return [
        (name, weights.get(f"{name}.weight", nothing), weights.get(f"{name}.bias", nothing))
        for name in names
    ]


def _layers(network: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def _fill(network: nn.Module, found: Sequence[Convolution], place: str) -> None:
    layers = _layers(network)
    if len(found) != len(layers):
        raise GeneratorError(
            f"{place}: {len(found)} convolutions, expected {len(layers)}; check stylise.pin"
        )
    with torch.no_grad():
        for layer, (name, weight, bias) in zip(layers, found, strict=True):
            if weight.shape != layer.weight.shape or bias.shape != (layer.out_channels,):
                raise GeneratorError(
                    f"{place}: {name} has the weight {tuple(weight.shape)}, expected "
                    f"{tuple(layer.weight.shape)} and a bias; check stylise.pin"
                )
            layer.weight.copy_(weight)
            assert layer.bias is not None
            layer.bias.copy_(bias)

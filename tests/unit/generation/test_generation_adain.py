import pytest
import torch
from torch import nn

from synthgap.generation.trainers.adain import (
    VGG19,
    EncoderShape,
    StyleDecoder,
    StyleEncoder,
    StyleTransfer,
    adain,
    content_loss,
    initialise,
    normalising,
    statistics,
    style_loss,
)
from synthgap.jobs.device import seeded_weights


@pytest.fixture(scope="module")
def network():
    shape = EncoderShape.of((4, 6, 8))
    pair = StyleTransfer(
        StyleEncoder(shape, normalising((0.5,) * 3, (0.25,) * 3)), StyleDecoder(shape)
    ).requires_grad_(requires_grad=False)
    with seeded_weights(1):
        initialise(pair.encoder, pair.decoder)
    return pair


def images(count=3, size=16):
    return torch.rand((count, 3, size, size), generator=torch.Generator().manual_seed(2))


def test_the_result_has_the_contents_pattern_and_the_styles_statistics():
    content, style = images()[:, :, :8] * 3 + 1, images(size=12).square()
    changed = adain(content, style)
    for ours, theirs in zip(statistics(changed), statistics(style), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-3)
    pattern, before = ((part - part.mean((2, 3), True)) for part in (changed, content))
    cosine = nn.functional.cosine_similarity(pattern.flatten(2), before.flatten(2), dim=2)
    assert torch.allclose(cosine, torch.ones_like(cosine), atol=1e-5)
    assert torch.allclose(adain(style, style), style, atol=1e-3)


def test_losses_are_zero_for_what_they_ask_for(network):
    taps = network.encoder(images())
    assert content_loss(taps, taps[-1]) == 0
    assert style_loss(taps, taps) == 0
    mirrored = network.encoder(images().flip(0))
    assert style_loss(taps, mirrored) > 0


def test_levels_halve_and_the_decoder_mirrors_them(network):
    taps = network.encoder(images(size=15))
    assert [tuple(tap.shape[1:]) for tap in taps] == [(4, 15, 15), (6, 8, 8), (8, 4, 4)]
    assert network(images(size=15), images(size=13)).shape == (3, 3, 15, 15)
    backwards = [
        (layer.out_channels, layer.in_channels)
        for layer in network.decoder.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    assert backwards[::-1] == [
        pair for level in EncoderShape.of((4, 6, 8)).levels for pair in level
    ]
    assert sum(map(len, VGG19.levels)) == 9


def test_strength_goes_from_the_own_style_to_the_others(network):
    content, style = images(), images().flip(0)
    plain = network.decoder(network.encoder(content)[-1])
    assert torch.allclose(network(content, style, 0.0), plain)
    assert torch.allclose(network(content, content, 1.0), plain, atol=1e-3)
    assert not torch.allclose(network(content, style, 1.0), plain, atol=1e-2)


def test_an_image_depends_on_itself_and_its_style_alone(network):
    content, style = images(4), images(4).flip(0)
    order = torch.tensor([2, 0, 3, 1])
    turned = network(content[order], style[order])
    assert torch.equal(turned, network(content, style)[order])


def test_normalising_takes_mean_and_std_to_zero_and_one():
    weight, bias = normalising((0.4, 0.5, 0.6), (0.2, 0.25, 0.1))
    levels = torch.tensor([[0.4, 0.75, 0.6]]).view(1, 3, 1, 1)
    given = nn.functional.conv2d(levels, weight, bias).flatten()
    assert torch.allclose(given, torch.tensor([0.0, 1.0, 0.0]), atol=1e-6)

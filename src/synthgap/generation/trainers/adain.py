"""Adaptive instance normalisation (AdaIN; Huang and Belongie 2017): features take another's look.

An encoder of convolutions and poolings and the decoder that mirrors it, of any width and depth:
VGG-19 up to relu4_1 with the papers' decoder and the small pair that is trained here differ in
their `EncoderShape` alone. Images are float32 (batch, 3, height, width) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5
LEVEL_MEAN, LEVEL_STD = 0.5, 0.25  # of ordinary images' levels, roughly


@dataclass(frozen=True)
class EncoderShape:
    """Widths of the encoder's levels and their convolutions; a pooling halves between levels."""

    widths: tuple[int, ...]
    convolutions: tuple[int, ...]

    @classmethod
    def of(cls, widths: Sequence[int]) -> EncoderShape:
        """Two convolutions a level, and one in the last, as in VGG up to its relu x_1."""
        return cls(tuple(widths), (*[2] * (len(widths) - 1), 1))

    @property
    def levels(self) -> list[list[tuple[int, int]]]:
        """Input and output channels of every convolution, level by level."""
        levels = []
        for before, width, count in zip(
            (3, *self.widths), self.widths, self.convolutions, strict=False
        ):
            levels.append([(before, width), *[(width, width)] * (count - 1)])
        return levels


VGG19 = EncoderShape((64, 128, 256, 512), (2, 2, 4, 1))


def normalising(mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The 1x1 convolution, (3, 3, 1, 1) and (3,), that takes `mean` to 0 and `std` to 1."""
    scale = 1 / torch.tensor(std)
    return torch.diag(scale)[..., None, None], -torch.tensor(mean) * scale


class StyleEncoder(nn.Module):
    """Convolutions with ReLU, padded by reflection; each level's first activation is a tap.

    `colours` are the weight and bias of the 1x1 convolution that comes first and never learns.
    """

    mix: Tensor
    shift: Tensor

    def __init__(self, shape: EncoderShape, colours: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.register_buffer("mix", colours[0])
        self.register_buffer("shift", colours[1])
        self.levels = nn.ModuleList(
            nn.ModuleList(_convolution(*widths) for widths in level) for level in shape.levels
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """The taps: relu1_1, relu2_1 and so on; the last is what AdaIN changes.

        `images`: (batch, 3, height, width) in [0, 1]; tap l is (batch, channels, height / 2 **
        l, width / 2 ** l).
        """
        taps = []
        features = functional.conv2d(images, self.mix, self.shift)
        for index, level in enumerate(self.levels):
            if index:
                features = functional.max_pool2d(features, 2, ceil_mode=True)
            assert isinstance(level, nn.ModuleList)
            for position, convolution in enumerate(level):
                features = functional.relu(convolution(features))
                if position == 0:
                    taps.append(features)
        return taps


class StyleDecoder(nn.Module):
    """The encoder's convolutions backwards, with nearest-neighbour upsampling for poolings."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.ModuleList(_convolution(after, before) for before, after in reversed(level))
            for level in reversed(shape.levels)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Images of 2 ** (levels - 1) times the features' side, not held to [0, 1].

        `features`: (batch, channels, height, width); images are (batch, 3, height, width) of
        their own size.
        """
        last = len(self.levels) - 1
        for index, level in enumerate(self.levels):
            if index:
                features = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            assert isinstance(level, nn.ModuleList)
            for position, convolution in enumerate(level):
                features = convolution(features)
                if index < last or position < len(level) - 1:
                    features = functional.relu(features)
        return features


def statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the pixels of every channel, (batch, channels, 1, 1)."""
    variance, mean = torch.var_mean(features, dim=(2, 3), correction=0, keepdim=True)
    return mean, (variance + EPSILON).sqrt()


def adain(content: Tensor, style: Tensor) -> Tensor:
    """`content` with the channel statistics of `style` (eq. 8).

    Both are features (batch, channels, height, width).
    """
    mean, std = statistics(content)
    style_mean, style_std = statistics(style)
    return style_std * (content - mean) / std + style_mean


def content_loss(taps: Sequence[Tensor], target: Tensor) -> Tensor:
    """Squared error of the result's deepest features to AdaIN's output (eq. 12).

    `target`: (batch, channels, height, width); a scalar.
    """
    return functional.mse_loss(taps[-1], target)


def style_loss(taps: Sequence[Tensor], style_taps: Sequence[Tensor]) -> Tensor:
    """Squared errors of the result's channel statistics to the style's, over all taps (eq. 13).

    Taps are (batch, channels, height, width); a scalar.
    """
    losses = [
        functional.mse_loss(ours, theirs)
        for tap, style_tap in zip(taps, style_taps, strict=True)
        for ours, theirs in zip(statistics(tap), statistics(style_tap), strict=True)
    ]
    return torch.stack(losses).sum()


def initialise(encoder: StyleEncoder, decoder: StyleDecoder) -> None:
    """Orthogonal weights for ReLU (He et al. 2015), and a decoder that starts at middle grey.

    Draws from torch's global generator.
    """
    for layer in (*encoder.modules(), *decoder.modules()):
        if isinstance(layer, nn.Conv2d):
            nn.init.orthogonal_(layer.weight, gain=2**0.5)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    last = [layer for layer in decoder.modules() if isinstance(layer, nn.Conv2d)][-1]
    assert last.bias is not None
    with torch.no_grad():
        last.weight.mul_(LEVEL_STD)
        last.bias.fill_(LEVEL_MEAN)


class StyleTransfer(nn.Module):
    """A fixed encoder, and the decoder that makes images of features after AdaIN."""

    def __init__(self, encoder: StyleEncoder, decoder: StyleDecoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, content: Tensor, style: Tensor, strength: float = 1.0) -> Tensor:
        """`content` in the style of `style`, at `strength` 0 (its own style) to 1 (eq. 14).

        All are images (batch, 3, height, width) in [0, 1].
        """
        features = self.encoder(content)[-1]
        changed = adain(features, self.encoder(style)[-1])
        images: Tensor = self.decoder(torch.lerp(features, changed, strength))
        return images[..., : content.shape[-2], : content.shape[-1]]


def _convolution(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect")

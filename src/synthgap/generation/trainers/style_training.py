"""A small encoder and decoder for AdaIN, learned here from images and style pictures alone.

First both as an autoencoder, so that features hold textures and shapes; then, with the encoder
fixed, the decoder as in Huang and Belongie 2017 (eq. 11 to 13). No label is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.generation.trainers import adain
from synthgap.generation.trainers.adain import (
    EncoderShape,
    StyleDecoder,
    StyleEncoder,
    StyleTransfer,
)
from synthgap.generation.trainers.training_loop import OptimConfig, phase
from synthgap.jobs.device import accelerator_for, seeded_weights
from synthgap.params.sections import Runtime, Stylise
from synthgap.seeding import derived_seed, torch_stream

if TYPE_CHECKING:
    from accelerate import Accelerator

CHECKPOINT_EVERY_STEPS = 100

LossAt = Callable[[int], Tensor]


@dataclass(frozen=True)
class StyleTraining:
    """What the pair learns from: uint8 (num, size, size, 3) each; `folder` keeps checkpoints."""

    section: Stylise
    contents: np.ndarray
    styles: np.ndarray
    seed: int
    folder: Path


def small_pair(section: Stylise) -> StyleTransfer:
    """An untrained pair of the widths `section.channels`."""
    shape = EncoderShape.of(section.channels)
    colours = adain.normalising((adain.LEVEL_MEAN,) * 3, (adain.LEVEL_STD,) * 3)
    return StyleTransfer(StyleEncoder(shape, colours), StyleDecoder(shape))


def train_pair(
    pair: StyleTransfer, training: StyleTraining, runtime: Runtime
) -> Iterator[dict[str, float]]:
    """Train `pair` in place, yielding the mean loss of every 50 steps of either phase.

    A killed training goes on from its last checkpoint and ends with the same bits.

    Raises:
        GeneratorError: the loss is not finite.
    """
    with seeded_weights(derived_seed(training.seed, "stylise", "weights")):
        adain.initialise(pair.encoder, pair.decoder)
    # Full precision whatever the students learn in: seconds of work, and equal sets everywhere.
    accelerator = accelerator_for(replace(runtime, precision="fp32"))
    pair.to(accelerator.device)
    yield from _phase("autoencoder", pair, autoencoder_loss(pair, training), training, accelerator)
    pair.decoder.requires_grad_(requires_grad=True)
    loss_at = decoder_loss(pair, training)
    for epoch in _phase("decoder", pair.decoder, loss_at, training, accelerator):
        yield {**epoch, "epoch": training.section.steps + epoch["epoch"]}


def autoencoder_loss(pair: StyleTransfer, training: StyleTraining) -> LossAt:
    """Squared error of restored images and style pictures, half a batch of each."""
    half = max(1, training.section.batch_size // 2)

    def loss_at(step: int) -> Tensor:
        draw = torch_stream(training.seed, "stylise", "autoencoder", step)
        images = torch.cat(
            [_batch(training.contents, half, draw), _batch(training.styles, half, draw)]
        )
        images = images.to(pair.encoder.mix.device)
        return functional.mse_loss(pair.decoder(pair.encoder(images)[-1]), images)

    return loss_at


def decoder_loss(pair: StyleTransfer, training: StyleTraining) -> LossAt:
    """Content loss plus weighted style loss of a batch of images, each with a style picture."""
    section = training.section

    def loss_at(step: int) -> Tensor:
        draw = torch_stream(training.seed, "stylise", "decoder", step)
        contents, styles = (
            _batch(pixels, section.batch_size, draw).to(pair.encoder.mix.device)
            for pixels in (training.contents, training.styles)
        )
        with torch.no_grad():
            style_taps = pair.encoder(styles)
            target = adain.adain(pair.encoder(contents)[-1], style_taps[-1])
        taps = pair.encoder(pair.decoder(target))
        style = adain.style_loss(taps, style_taps)
        return adain.content_loss(taps, target) + section.style_weight * style

    return loss_at


def as_levels(pixels: np.ndarray) -> Tensor:
    """Float32 (batch, 3, height, width) in [0, 1] of uint8 (batch, height, width, 3)."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def _phase(
    name: str,
    network: nn.Module,
    loss_at: LossAt,
    training: StyleTraining,
    accelerator: Accelerator,
) -> Iterator[dict[str, float]]:
    section = training.section
    config = OptimConfig(
        name="stylise",
        steps=section.steps,
        learning_rate=section.learning_rate,
        ema_decay=0.0,
        checkpoint=training.folder / f"{name}.pt",
        checkpoint_every_steps=CHECKPOINT_EVERY_STEPS,
    )
    for epoch in phase(config, network, loss_at, accelerator):
        yield {"epoch": epoch["epoch"], f"{name}/loss": epoch["stylise/loss"]}


def _batch(pixels: np.ndarray, count: int, draw: torch.Generator) -> Tensor:
    chosen = torch.randint(len(pixels), (count,), generator=draw)
    return as_levels(pixels[chosen.numpy()])

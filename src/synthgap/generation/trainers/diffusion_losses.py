"""What the two phases minimise, as functions of the step alone.

The autoencoder learns as in Rombach et al. 2022 (without the adversarial term), the denoiser with
the velocity loss of Salimans and Ho 2022 and the caption dropout of Ho and Salimans 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from synthgap.generation.libraries import AutoencoderModel, Scheduler, Tokenizer
from synthgap.generation.prompts.tokenizer import tokens
from synthgap.generation.trainers.diffusion_networks import (
    TRAIN_TIMESTEPS,
    Conditioned,
    build_scheduler,
)
from synthgap.params.sections import Autoencoder, Denoiser
from synthgap.seeding import torch_stream

ENCODING_BATCH = 64

LossAt = Callable[[int], Tensor]


@dataclass(frozen=True)
class Latents:
    """Gaussian latents of every image: mean and std, (num_images, channels, height, width)."""

    mean: Tensor
    std: Tensor

    @property
    def scaling_factor(self) -> float:
        """What makes a draw from them have unit variance over the whole set."""
        return float((self.mean.var(correction=0) + self.std.square().mean()).rsqrt())


class Noised(NamedTuple):
    """Noisy latents, (batch, channels, height, width), and the velocity that undoes the noise."""

    latents: Tensor
    timesteps: Tensor  # (batch,)
    velocity: Tensor


@dataclass(frozen=True)
class Noising:
    """Noise of any strength on draws from latents, which are scaled to unit variance first."""

    images: Latents
    scheduler: Scheduler

    @cached_property
    def _scale(self) -> float:
        return self.images.scaling_factor

    def noised(self, chosen: Tensor, draw: torch.Generator) -> Noised:
        """Noise the latents of the chosen images, on the device where they lie.

        `chosen`: int64 (batch,).
        """
        mean, std = self.images.mean, self.images.std
        timesteps = torch.randint(TRAIN_TIMESTEPS, (len(chosen),), generator=draw).to(mean.device)
        spread, noise = (
            torch.randn(len(chosen), *mean.shape[1:], generator=draw).to(mean.device)
            for _ in range(2)
        )
        chosen = chosen.to(mean.device)
        clean = (mean[chosen] + std[chosen] * spread) * self._scale
        return Noised(
            latents=self.scheduler.add_noise(clean, noise, timesteps),
            timesteps=timesteps,
            velocity=self.scheduler.get_velocity(clean, noise, timesteps),
        )


def autoencoder_loss(
    autoencoder: AutoencoderModel, pixels: np.ndarray, settings: Autoencoder, *, seed: int
) -> LossAt:
    """Squared error of the reconstruction plus the weighted KL divergence a latent value.

    `pixels` are uint8 (num_images, height, width, 3).
    """

    def loss_at(step: int) -> Tensor:
        draw = torch_stream(seed, "generator", "autoencoder", step)
        chosen = torch.randint(len(pixels), (settings.batch_size,), generator=draw)
        images = inputs(pixels, chosen, autoencoder.device)
        posterior = autoencoder.encode(images).latent_dist
        restored = autoencoder.decode(posterior.sample(draw)).sample
        divergence = posterior.kl().mean() / posterior.mean[0].numel()
        loss: Tensor = functional.mse_loss(restored, images) + settings.kl_weight * divergence
        return loss

    return loss_at


def denoiser_loss(
    parts: Conditioned, latents: Latents, captions: Tensor, settings: Denoiser, *, seed: int
) -> LossAt:
    """Squared error of the velocity that is predicted from noisy latents and their captions.

    `captions` are token ids (num_images + 1, num_captions, length), of which one is drawn anew for
    each image of a step; the last row is the empty prompt, which stands in for a share of the
    captions so that guidance has its unconditional branch.
    """
    noising = Noising(latents, build_scheduler())

    def loss_at(step: int) -> Tensor:
        draw = torch_stream(seed, "generator", "denoiser", step)
        batch = settings.batch_size
        chosen = torch.randint(len(latents.mean), (batch,), generator=draw)
        dropped = torch.rand(batch, generator=draw) < settings.caption_dropout
        noised = noising.noised(chosen, draw)
        which = torch.randint(captions.shape[1], (batch,), generator=draw)
        spoken = captions[torch.where(dropped, len(captions) - 1, chosen), which]
        text = parts.text_encoder(spoken.to(noised.latents.device)).last_hidden_state
        predicted = parts.unet(noised.latents, noised.timesteps, text).sample
        return functional.mse_loss(predicted.float(), noised.velocity)

    return loss_at


def encode(autoencoder: AutoencoderModel, pixels: np.ndarray) -> Latents:
    """The trained autoencoder's latents of every image.

    `pixels`: uint8 (num_images, height, width, 3).
    """
    means, stds = [], []
    with torch.no_grad():
        for part in torch.split(torch.arange(len(pixels)), ENCODING_BATCH):
            posterior = autoencoder.encode(inputs(pixels, part, autoencoder.device)).latent_dist
            means.append(posterior.mean)
            stds.append(posterior.std)
    return Latents(torch.cat(means), torch.cat(stds))


def caption_tokens(tokenizer: Tokenizer, captions: Sequence[Sequence[str]]) -> Tensor:
    """Token ids of each image's captions, and of the empty prompt in the last row.

    (num_images + 1, num_captions, length) int64; every image has as many captions.
    """
    rows = [*captions, [""] * len(captions[0])]
    ids = tokens(tokenizer, [text for row in rows for text in row])
    return ids.reshape(len(rows), len(rows[0]), -1)


def inputs(pixels: np.ndarray, chosen: Tensor, device: torch.device) -> Tensor:
    """The chosen images as networks see them: float32 (batch, 3, height, width) in [-1, 1]."""
    batch = torch.from_numpy(pixels[chosen.numpy()]).to(device)
    return batch.permute(0, 3, 1, 2).float() / 127.5 - 1

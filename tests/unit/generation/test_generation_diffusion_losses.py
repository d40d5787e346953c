import math

import pytest
import torch
from generation_case import GENERATOR

from synthgap.generation.prompts.tokenizer import make_tokenizer
from synthgap.generation.trainers.diffusion_losses import (
    Latents,
    caption_tokens,
    denoiser_loss,
)
from synthgap.generation.trainers.diffusion_networks import build_conditioned


def loss_with(dropout, change):
    """Denoiser loss of step 0 after `change` edited the caption tokens."""
    from dataclasses import replace

    settings = replace(GENERATOR.generator.denoiser, caption_dropout=dropout, batch_size=16)
    tokenizer = make_tokenizer({"0": "a 0", "1": "a 1"})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = build_conditioned(settings, tokenizer, latent_channels=4, latent_size=4)
        latents = Latents(torch.randn(6, 4, 4, 4), torch.full((6, 4, 4, 4), 0.1))
    captions = caption_tokens(tokenizer, [["a 0"], ["a 1"]] * 3)
    change(captions)
    with torch.no_grad():
        return denoiser_loss(parts, latents, captions, settings, seed=1)(0).item()


def nothing(captions):
    pass


def other_words(captions):
    captions[:-1] = 2


def other_empty_prompt(captions):
    captions[-1] = 2


def test_without_dropout_the_empty_prompt_is_never_learned():
    assert loss_with(0.0, other_empty_prompt) == loss_with(0.0, nothing)
    assert loss_with(0.0, other_words) != loss_with(0.0, nothing)


def test_dropout_trains_the_unconditional_branch():
    assert loss_with(0.5, other_empty_prompt) != loss_with(0.5, nothing)
    assert loss_with(0.5, other_words) != loss_with(0.5, nothing)
    assert loss_with(0.999999, other_words) == loss_with(0.999999, nothing)


def test_scaled_latents_have_unit_variance():
    draw = torch.Generator().manual_seed(0)
    mean = 3 * torch.randn(500, 4, 4, 4, generator=draw)
    std = torch.full_like(mean, 2.0)
    latents = Latents(mean, std)
    drawn = (mean + std * torch.randn(mean.shape, generator=draw)) * latents.scaling_factor
    assert drawn.std().item() == pytest.approx(1, abs=0.02)
    assert latents.scaling_factor == pytest.approx(1 / math.sqrt(13), rel=0.02)

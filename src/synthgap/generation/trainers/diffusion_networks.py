"""The parts of the locally trained pipeline: diffusers' own classes in small sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthgap.generation.libraries import AutoencoderModel, Scheduler, Tokenizer, full_disk_errors
from synthgap.params.sections import Autoencoder, Denoiser

GROUPS = 8  # of every group norm; channels are multiples of it
HEADS = 8  # of the UNet's attention
TRAIN_TIMESTEPS = 1000


@dataclass(frozen=True)
class Conditioned:
    """What turns captions and noise into latents."""

    tokenizer: Tokenizer
    text_encoder: Any
    unet: Any


def build_autoencoder(settings: Autoencoder, *, image_size: int) -> AutoencoderModel:
    """A fresh AutoencoderKL; every channel count but the first halves the side."""
    from diffusers import AutoencoderKL

    depth = len(settings.channels)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        block_out_channels=settings.channels,
        down_block_types=("DownEncoderBlock2D",) * depth,
        up_block_types=("UpDecoderBlock2D",) * depth,
        layers_per_block=1,
        latent_channels=settings.latent_channels,
        norm_num_groups=GROUPS,
        sample_size=image_size,
    )


def build_conditioned(
    settings: Denoiser, tokenizer: Tokenizer, *, latent_channels: int, latent_size: int
) -> Conditioned:
    """A fresh CLIP text encoder and UNet; the UNet attends to the text below its first level."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    width = settings.text_width
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer.get_vocab()),
            hidden_size=width,
            intermediate_size=2 * width,
            projection_dim=width,
            num_hidden_layers=1,
            num_attention_heads=max(1, width // 8),
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    deeper = len(settings.channels) - 1
    plain = min(1, deeper)
    unet = UNet2DConditionModel(
        sample_size=latent_size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=settings.channels,
        down_block_types=("DownBlock2D",) * plain + ("CrossAttnDownBlock2D",) * max(1, deeper),
        up_block_types=("CrossAttnUpBlock2D",) * max(1, deeper) + ("UpBlock2D",) * plain,
        layers_per_block=1,
        cross_attention_dim=width,
        attention_head_dim=HEADS,
        norm_num_groups=GROUPS,
    )
    return Conditioned(tokenizer, text_encoder, unet)


def build_scheduler() -> Scheduler:
    """Stable Diffusion's noise schedule with v-prediction (Salimans and Ho 2022, appendix D).

    Velocities and steps spaced from the end ("trailing") keep 25 steps good at so few weights.
    """
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=TRAIN_TIMESTEPS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,  # StableDiffusionPipeline insists; trailing spacing does not use it
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )


def save_pipeline(folder: Path, autoencoder: AutoencoderModel, conditioned: Conditioned) -> None:
    """Write an ordinary StableDiffusionPipeline folder: JSON and safetensors only."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=conditioned.text_encoder,
        tokenizer=conditioned.tokenizer,
        unet=conditioned.unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    with full_disk_errors(folder):
        pipeline.save_pretrained(folder, safe_serialization=True)

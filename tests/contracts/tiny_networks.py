"""The parts of tiny pipelines: networks of diffusers' and transformers' own classes, random."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
)

SIZE_PX = 16
WIDTH = 16  # of every text tower


def text_tower(*, projected: bool = False, vocabulary: int = 16):
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def autoencoder(levels: int = 2):
    return AutoencoderKL(
        block_out_channels=(8,) * levels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=SIZE_PX,
    )


def unet(side: int = 8, **changes):
    return UNet2DConditionModel(
        **{
            "sample_size": side,
            "block_out_channels": (8, 16),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "layers_per_block": 1,
            "cross_attention_dim": WIDTH,
            "attention_head_dim": 4,
            "norm_num_groups": 4,
            **changes,
        }
    )


def vision():
    return CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=SIZE_PX,
        patch_size=8,
    )


def image_processor():
    side = {"height": SIZE_PX, "width": SIZE_PX}
    return CLIPImageProcessor(size={"shortest_edge": SIZE_PX}, crop_size=side)


def safety_checker():
    """One that finds everything unsafe: every concept is as near as can be."""
    config = CLIPConfig(text_config=text_tower().config.to_dict(), vision_config=vision().to_dict())
    config.projection_dim = WIDTH
    checker = StableDiffusionSafetyChecker(config)
    torch.nn.init.constant_(checker.concept_embeds_weights, -1.0)
    torch.nn.init.constant_(checker.special_care_embeds_weights, 1.0)
    return checker

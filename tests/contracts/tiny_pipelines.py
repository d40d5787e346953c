"""One tiny pipeline of each diffusers class, with random weights, saved as an ordinary folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from diffusers import (
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    DiTPipeline,
    DiTTransformer2DModel,
    EulerDiscreteScheduler,
    LDMPipeline,
    LDMTextToImagePipeline,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    StableUnCLIPImg2ImgPipeline,
    UNet2DModel,
    VQModel,
)
from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import (
    LDMBertConfig,
    LDMBertModel,
)
from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer
from PIL import Image
from tiny_networks import (
    SIZE_PX,
    WIDTH,
    autoencoder,
    image_processor,
    safety_checker,
    text_tower,
    unet,
    vision,
)
from transformers import (
    CLIPVisionModelWithProjection,
)

from synthgap.generation.libraries import quiet
from synthgap.generation.prompts.tokenizer import make_tokenizer
from synthgap.jobs.device import seeded_weights

CLASSES = ("cat", "snow_leopard")
PROMPTS = ("a cat", "a snow leopard")
LABELLED = ("sd1", "sd2", "sdxl", "ldm", "dit", "folder")  # what can make a set of classes alone
UNLABELLED = ("ddpm", "ldm_faces", "flat")
BY_IMAGE = ("unclip",)
NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def tokenizer():
    """It knows the words of PROMPTS alone."""
    return make_tokenizer(dict(zip(CLASSES, PROMPTS, strict=True)))


def save_all(root: Path) -> dict[str, Path]:
    """Save every kind below `root`; return their folders by name."""
    quiet("diffusers", "transformers")
    makers = {
        "sd1": stable_diffusion_1,
        "sd2": stable_diffusion_2,
        "sdxl": stable_diffusion_xl,
        "unclip": unclip,
        "ldm": latent_diffusion,
        "dit": diffusion_transformer,
        "ddpm": unconditional,
        "ldm_faces": unconditional_latents,
    }
    for name, make in makers.items():
        with seeded_weights(7):
            make().save_pretrained(root / name, safe_serialization=True)
    _name_labels(root / "dit")
    save_samples(root / "folder", classes=CLASSES)
    save_samples(root / "flat", classes=None)
    return {name: root / name for name in (*makers, "folder", "flat")}


def save_samples(folder: Path, *, classes: tuple[str, ...] | None, count: int = 40) -> None:
    """So many PNG files of noise, in class folders or in one."""
    draw = np.random.default_rng(1)
    for name in classes or ("",):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = draw.integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index:03d}.png")


def stable_diffusion_1():
    """Predicts noise, PNDM as Stable Diffusion 1.4 comes, with a safety checker."""
    return StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=text_tower(),
        tokenizer=tokenizer(),
        unet=unet(),
        scheduler=PNDMScheduler(
            **NOISE, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1
        ),
        safety_checker=safety_checker(),
        feature_extractor=image_processor(),
    )


def stable_diffusion_2():
    """Predicts velocities, with linear projections and heads of one width, DDIM."""
    return StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=text_tower(),
        tokenizer=tokenizer(),
        unet=unet(use_linear_projection=True, attention_head_dim=(2, 4)),
        scheduler=DDIMScheduler(
            **NOISE,
            prediction_type="v_prediction",
            clip_sample=False,
            steps_offset=1,
            set_alpha_to_one=False,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_xl():
    """Two text towers, sizes as conditions, Euler."""
    return StableDiffusionXLPipeline(
        vae=autoencoder(),
        text_encoder=text_tower(),
        text_encoder_2=text_tower(projected=True),
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(),
        unet=unet(
            cross_attention_dim=2 * WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + WIDTH,
            use_linear_projection=True,
        ),
        scheduler=EulerDiscreteScheduler(**NOISE, steps_offset=1),
        add_watermarker=False,
    )


def unclip():
    """Prompted by images."""
    return StableUnCLIPImg2ImgPipeline(
        feature_extractor=image_processor(),
        image_encoder=CLIPVisionModelWithProjection(vision()),
        image_normalizer=StableUnCLIPImageNormalizer(embedding_dim=WIDTH),
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        tokenizer=tokenizer(),
        text_encoder=text_tower(),
        unet=unet(class_embed_type="projection", projection_class_embeddings_input_dim=2 * WIDTH),
        scheduler=DDIMScheduler(
            **NOISE, prediction_type="v_prediction", clip_sample=False, steps_offset=1
        ),
        vae=autoencoder(),
    )


def latent_diffusion():
    """A text-to-image pipeline outside the Stable Diffusion family; it takes no negative prompt."""
    bert = LDMBertConfig(
        vocab_size=16,
        max_position_embeddings=77,
        encoder_layers=1,
        encoder_ffn_dim=WIDTH,
        encoder_attention_heads=2,
        head_dim=8,
        d_model=WIDTH,
        pad_token_id=1,
    )
    return LDMTextToImagePipeline(
        vqvae=autoencoder(levels=4),
        bert=LDMBertModel(bert),
        tokenizer=tokenizer(),
        unet=unet(side=2),
        scheduler=DDIMScheduler(**NOISE, clip_sample=False),
    )


def diffusion_transformer():
    """Classes by number, of which 1000 is none; learned variances as in the published weights."""
    return DiTPipeline(
        transformer=DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            out_channels=8,
            num_layers=1,
            sample_size=8,
            patch_size=2,
            num_embeds_ada_norm=1000,
            norm_type="ada_norm_zero",
        ),
        vae=autoencoder(),
        scheduler=DDIMScheduler(beta_schedule="linear", clip_sample=False),
    )


def unconditional():
    """Pixels from noise."""
    return DDPMPipeline(
        unet=UNet2DModel(
            sample_size=SIZE_PX,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            attention_head_dim=4,
            norm_num_groups=4,
        ),
        scheduler=DDPMScheduler(),
    )


def unconditional_latents():
    """Latents from noise, as for CelebA-HQ (Rombach et al. 2022)."""
    return LDMPipeline(
        vqvae=VQModel(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=3,
            norm_num_groups=4,
            num_vq_embeddings=16,
        ),
        unet=UNet2DModel(
            sample_size=SIZE_PX // 2,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            attention_head_dim=4,
            norm_num_groups=4,
        ),
        scheduler=DDIMScheduler(**NOISE, clip_sample=False),
    )


def _name_labels(folder: Path) -> None:
    """Say in the index what classes 3 and 5 are called, as the published pipeline does."""
    from synthgap.jobs import read_json, write_json

    index = folder / "model_index.json"
    names = {"3": "tabby, cat", "5": "snow leopard, ounce"}
    write_json(index, {**read_json(index), "id2label": names})

"""The other side of synthesis: sampling as diffusers' documentation shows it, and what is sampled.

One `pipe(prompt)` call for the images of a class, PIL images, saved one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthgap.data.image_set import write_manifest, write_png
from synthgap.generation.libraries import quiet
from synthgap.generation.pipelines.provenance import MAIN, Provenance, pipeline_digest
from synthgap.generation.prompts.tokenizer import make_tokenizer
from synthgap.generation.trainers import diffusion_networks
from synthgap.jobs import Artifacts
from synthgap.jobs.device import seeded_weights
from synthgap.params.sections import Generator

TEMPLATE = "a photo of a {class}"


def class_names(count: int) -> tuple[str, ...]:
    """Classes that one word tells apart."""
    return tuple(f"kind{index:03d}" for index in range(count))


def prompt_of(name: str) -> str:
    """What a class is asked for with."""
    return TEMPLATE.replace("{class}", name)


def tokenizer_of(classes: Sequence[str]) -> Any:  # noqa: ANN401 - untyped in transformers
    """A tokenizer of these prompts' words."""
    return make_tokenizer({name: prompt_of(name) for name in classes})


def real_set(artifacts: Artifacts, classes: Sequence[str], *, per_class: int, px: int) -> None:
    """Image set `train` of noise: a synthetic set takes over its classes and counts."""
    folder = artifacts.image_set("train")
    draw = np.random.default_rng(0)
    columns: dict[str, list[Any]] = {"path": [], "label": [], "sha256": []}
    for label, name in enumerate(classes):
        for index in range(per_class):
            path = f"{name}/{index}.png"
            pixels = draw.integers(0, 256, (px, px, 3), dtype=np.uint8)
            columns["path"].append(path)
            columns["label"].append(label)
            columns["sha256"].append(write_png(folder / path, pixels))
    write_manifest(folder, kind="real", classes=classes, columns=columns)


def embedded_generator(
    artifacts: Artifacts, shape: Generator, classes: Sequence[str], *, image_size: int
) -> None:
    """The embedded generator's shape with random weights, as stage `generator` leaves it."""
    tokenizer = tokenizer_of(classes)
    latent_size = image_size // 2 ** (len(shape.autoencoder.channels) - 1)
    with seeded_weights(0):
        autoencoder = diffusion_networks.build_autoencoder(shape.autoencoder, image_size=image_size)
        parts = diffusion_networks.build_conditioned(
            shape.denoiser,
            tokenizer,
            latent_channels=shape.autoencoder.latent_channels,
            latent_size=latent_size,
        )
    folder = artifacts.generator
    diffusion_networks.save_pipeline(folder, autoencoder, parts)
    digest = pipeline_digest(folder)
    Provenance("train", None, None, digest, tuple(classes), 0, None, MAIN).write(folder)


def _text_encoder(tokenizer: Any, *, toy: bool) -> Any:  # noqa: ANN401 - untyped
    from transformers import CLIPTextConfig, CLIPTextModel

    width, layers, heads, vocabulary = (32, 2, 4, 64) if toy else (768, 12, 12, 49408)
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=max(vocabulary, len(tokenizer)),
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def stable_diffusion(folder: Path, classes: Sequence[str], *, toy: bool) -> None:
    """Save a pipeline shaped like Stable Diffusion 1.4, with random weights; `toy`: a small one."""
    from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel

    tokenizer = tokenizer_of(classes)
    tokenizer.model_max_length = 77
    channels = (32, 32, 64, 64) if toy else (320, 640, 1280, 1280)
    decoding = (32, 32, 32, 32) if toy else (128, 256, 512, 512)
    with seeded_weights(0):
        text_encoder = _text_encoder(tokenizer, toy=toy)
        unet = UNet2DConditionModel(
            sample_size=64,
            block_out_channels=channels,
            cross_attention_dim=text_encoder.config.hidden_size,
            attention_head_dim=8,
        )
        autoencoder = AutoencoderKL(
            block_out_channels=decoding,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
            sample_size=512,
        )
        pipeline = StableDiffusionPipeline(
            vae=autoencoder,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=diffusion_networks.build_scheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    quiet("diffusers", "transformers")
    pipeline.save_pretrained(folder)


def opened(folder: Path, device: str, dtype: torch.dtype) -> Any:  # noqa: ANN401 - untyped
    """The pipeline as anyone opens it."""
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(folder, dtype=dtype)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def sample_class(
    pipeline: Any,  # noqa: ANN401 - untyped in diffusers
    folder: Path,
    name: str,
    seeds: Sequence[int],
    **settings: Any,  # noqa: ANN401 - of a diffusers call
) -> None:
    """Make the images of one class with one call, and save them as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    images = pipeline(
        [prompt_of(name)] * len(seeds),
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        **settings,
    ).images
    for index, image in enumerate(images):
        image.save(folder / f"{index:05d}.png")

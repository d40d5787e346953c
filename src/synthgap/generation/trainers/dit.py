"""A rival trained here: a small diffusion transformer that draws classes by their number.

Peebles and Xie 2023, on the latents of the main generator's own autoencoder, with the velocity
loss and noise schedule of that generator, so that only network and conditioning differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.generation.libraries import AutoencoderModel, forget_origin, full_disk_errors
from synthgap.generation.pipelines.provenance import INDEX
from synthgap.generation.trainers.diffusion_losses import Latents, LossAt, Noising
from synthgap.generation.trainers.diffusion_networks import build_scheduler
from synthgap.jobs import read_json, write_json
from synthgap.params.sections import Transformer
from synthgap.seeding import torch_stream

NUM_LABELS = 1000
"""At least so many, because diffusers' own DiTPipeline takes number 1000 for no class."""
SMALL_SIDE = 8  # of latents whose every pixel is a token; larger ones have patches of 2


def build_transformer(
    settings: Transformer, *, num_classes: int, latent_channels: int, latent_size: int
) -> Any:  # noqa: ANN401 - diffusers is untyped
    """A fresh DiTTransformer2DModel, its modulations and its output at zero as in the paper.

    Dropping labels is the loss's business: the network's own draws from torch's global state.
    """
    from diffusers import DiTTransformer2DModel

    transformer = DiTTransformer2DModel(
        num_attention_heads=settings.heads,
        attention_head_dim=settings.width // settings.heads,
        in_channels=latent_channels,
        out_channels=latent_channels,
        num_layers=settings.layers,
        sample_size=latent_size,
        patch_size=1 if latent_size <= SMALL_SIDE else 2,
        num_embeds_ada_norm=max(NUM_LABELS, num_classes),
        norm_type="ada_norm_zero",
    )
    for block in transformer.transformer_blocks:
        block.norm1.emb.class_embedder.dropout_prob = 0.0
        _zero(block.norm1.linear)
    _zero(transformer.proj_out_1)
    _zero(transformer.proj_out_2)
    return transformer


def transformer_loss(
    transformer: Any,  # noqa: ANN401 - diffusers is untyped
    latents: Latents,
    labels: Tensor,
    settings: Transformer,
    *,
    seed: int,
) -> LossAt:
    """Squared error of the velocity that is predicted from noisy latents and their labels.

    `labels`, (num_images,) int64; a share is left out, so that guidance has its free branch.
    """
    noising = Noising(latents, build_scheduler())
    nothing = transformer.config.num_embeds_ada_norm

    def loss_at(step: int) -> Tensor:
        draw = torch_stream(seed, "rivals", step)
        batch = settings.batch_size
        chosen = torch.randint(len(latents.mean), (batch,), generator=draw)
        dropped = torch.rand(batch, generator=draw) < settings.label_dropout
        noised = noising.noised(chosen, draw)
        asked = torch.where(dropped, nothing, labels[chosen]).to(noised.latents.device)
        predicted = transformer(
            noised.latents, timestep=noised.timesteps, class_labels=asked
        ).sample
        return functional.mse_loss(predicted.float(), noised.velocity)

    return loss_at


def save_transformer(
    folder: Path,
    transformer: Any,  # noqa: ANN401 - diffusers is untyped
    autoencoder: AutoencoderModel,
    classes: Sequence[str],
) -> None:
    """Write an ordinary DiTPipeline folder, whose index names the classes."""
    from diffusers import DiTPipeline

    pipeline = DiTPipeline(transformer=transformer, vae=autoencoder, scheduler=build_scheduler())
    with full_disk_errors(folder):
        pipeline.save_pretrained(folder, safe_serialization=True)
    forget_origin(folder)
    names = {str(label): name.replace(",", " ") for label, name in enumerate(classes)}
    write_json(folder / INDEX, {**read_json(folder / INDEX), "id2label": names})


def _zero(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)

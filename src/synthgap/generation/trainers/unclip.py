"""A pipeline that is prompted by images: the generator's, taught to follow image embeddings.

As in Stable unCLIP (Ramesh et al. 2022; the pipeline is diffusers' StableUnCLIPImg2ImgPipeline),
a slightly noisy CLIP embedding is added to the UNet's time embedding, and text stays empty.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from synthgap.generation.libraries import ClipModel, Pipeline, forget_origin, full_disk_errors
from synthgap.generation.prompts.tokenizer import tokens
from synthgap.generation.trainers.diffusion_losses import Latents, LossAt, Noising
from synthgap.generation.trainers.diffusion_networks import TRAIN_TIMESTEPS, build_scheduler
from synthgap.models.clip import ImageTextModel
from synthgap.params.sections import Oracle
from synthgap.seeding import torch_stream

EMBEDDING_DROPOUT = 0.1  # share of embeddings left out, for guidance (Ho and Salimans 2021)


def build_unclip(generator: Pipeline, teacher: ImageTextModel, embeddings: Tensor) -> Pipeline:
    """The generator's parts beside the teacher's image tower, with a UNet that takes embeddings.

    `embeddings` are those of the images it will learn from, (num_images, size): their mean and
    spread say how much a noise level is. What the UNet has learned is kept; the projection of the
    embedding is fresh.
    """
    from diffusers import DDPMScheduler, StableUnCLIPImg2ImgPipeline, UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer

    normalizer = StableUnCLIPImageNormalizer(embedding_dim=teacher.size)
    with torch.no_grad():
        normalizer.mean.copy_(embeddings.mean(dim=0, keepdim=True))
        normalizer.std.copy_(embeddings.std(dim=0, keepdim=True).clamp(min=1e-6))
    widened = {
        "class_embed_type": "projection",
        "projection_class_embeddings_input_dim": 2 * teacher.size,  # the embedding and its noise
    }
    unet = UNet2DConditionModel.from_config({**generator.unet.config, **widened})
    missing, foreign = unet.load_state_dict(generator.unet.state_dict(), strict=False)
    assert not foreign
    assert all(name.startswith("class_embedding.") for name in missing)
    return StableUnCLIPImg2ImgPipeline(
        feature_extractor=teacher.processor,
        image_encoder=_image_encoder(teacher.network),
        image_normalizer=normalizer,
        image_noising_scheduler=DDPMScheduler(
            num_train_timesteps=TRAIN_TIMESTEPS, beta_schedule="squaredcos_cap_v2"
        ),
        tokenizer=generator.tokenizer,
        text_encoder=generator.text_encoder,
        unet=unet,
        scheduler=build_scheduler(),
        vae=generator.vae,
    )


def prompted_loss(
    pipeline: Pipeline, latents: Latents, embeddings: Tensor, settings: Oracle, *, seed: int
) -> LossAt:
    """Squared error of the velocity that is predicted from noisy latents and their embeddings.

    Embeddings, (num_images, size), get the noise that they will have when images are sampled; a
    share is left out.
    """
    noising = Noising(latents, build_scheduler())
    device = latents.mean.device
    with torch.no_grad():
        empty = pipeline.text_encoder(tokens(pipeline.tokenizer, [""]).to(device)).last_hidden_state

    def loss_at(step: int) -> Tensor:
        draw = torch_stream(seed, "oracle", step)
        batch = settings.batch_size
        chosen = torch.randint(len(embeddings), (batch,), generator=draw)
        kept = torch.rand(batch, generator=draw) >= EMBEDDING_DROPOUT
        noise = torch.randn(batch, embeddings.shape[1], generator=draw).to(device)
        noised = noising.noised(chosen, draw)
        with torch.no_grad():
            prompts = pipeline.noise_image_embeddings(
                embeddings[chosen.to(device)], noise_level=settings.noise_level, noise=noise
            )
        predicted = pipeline.unet(
            noised.latents,
            noised.timesteps,
            empty.expand(batch, -1, -1),
            class_labels=prompts * kept[:, None].to(device),
        ).sample
        return functional.mse_loss(predicted.float(), noised.velocity)

    return loss_at


def save_unclip(folder: Path, pipeline: Pipeline) -> None:
    """Write an ordinary StableUnCLIPImg2ImgPipeline folder: JSON and safetensors only."""
    with full_disk_errors(folder):
        pipeline.save_pretrained(folder, safe_serialization=True)
    forget_origin(folder)


def _image_encoder(clip: ClipModel) -> ClipModel:
    """The image tower of a CLIPModel as a model of its own."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    known = {**clip.config.vision_config.to_dict(), "projection_dim": clip.config.projection_dim}
    encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**known))
    encoder.vision_model.load_state_dict(clip.vision_model.state_dict())
    encoder.visual_projection.load_state_dict(clip.visual_projection.state_dict())
    return encoder.eval()

"""How much images resemble the real ones that prompted them, seen by the teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.data.image_set import ImageSet, square
from synthgap.errors import GeneratorError
from synthgap.generation.libraries import (
    ClipModel,
    TextTower,
    Tokenizer,
    forget_origin,
    full_disk_errors,
    quiet,
)
from synthgap.generation.prompts.tokenizer import tokens
from synthgap.generation.trainers.diffusion_losses import LossAt, inputs
from synthgap.params.sections import Teacher
from synthgap.seeding import torch_stream

if TYPE_CHECKING:
    from synthgap.models.clip import ImageTextModel


LOOKED_AT = 2000  # images at most, evenly over a set


def resemblance(
    teacher: ImageTextModel, made: ImageSet, prompts: ImageSet, size_px: int
) -> dict[str, float]:
    """Mean cosines of embeddings, and the share of images that are nearest to their own class.

    `own` is with an image's own prompt, `same_class` and `other_class` with the other prompts;
    `right_class` is the share whose nearest class mean of the prompts' embeddings is their own.
    """
    rows = some_rows(len(made))
    sources = {path: row for row, path in enumerate(prompts.paths)}
    asked = np.array([sources[path] for path in made.rows()["prompt"].iloc[rows]], np.int64)
    image_features = unit(teacher.embed_images(pixels_of(made, rows, size_px)))
    wanted = unit(teacher.embed_images(pixels_of(prompts, asked, size_px)))
    labels = made.labels[rows]
    cosines = image_features @ wanted.T
    same = labels[:, None] == labels[None, :]
    others = same & ~np.eye(len(rows), dtype=bool)
    present = np.unique(labels)
    means = np.stack([wanted[labels == label].mean(axis=0) for label in present])
    nearest = present[(image_features @ unit(means).T).argmax(axis=1)]
    found = {
        "own": cosines.diagonal(),
        "same_class": cosines[others],
        "other_class": cosines[~same],
        "right_class": nearest == labels,
    }
    return {name: round(float(values.mean()), 4) for name, values in found.items() if values.size}


def some_rows(count: int) -> np.ndarray:
    """Rows of a set that are looked at: all, or some evenly over it.

    int64 (num_rows,), rising.
    """
    return np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).round().astype(np.int64))


def pixels_of(images: ImageSet, rows: np.ndarray, size_px: int) -> np.ndarray:
    """Squares of those rows, uint8 (num_rows, size_px, size_px, 3)."""
    return np.stack([np.asarray(square(images.image(int(row)), size_px)) for row in rows])


def unit(vectors: np.ndarray) -> np.ndarray:
    """The rows at length 1.

    `vectors` and the result: float (num_rows, dim).
    """
    scaled: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


HEAD_WIDTH = 8  # of the image tower's attention
MAX_LOGIT_SCALE = 100.0  # as in CLIP
IMAGE_WEIGHT, IMAGE_TEMPERATURE = 0.5, 0.1  # of the loss that tells images apart
SHIFT = 1 / 16  # of the side: how far an image may be moved while the teacher learns


def open_text_tower(pipeline: Path) -> tuple[Tokenizer, TextTower]:
    """Tokenizer and CLIPTextModel of a pipeline folder, by transformers alone.

    Raises:
        GeneratorError: they are not there, or of another kind.
    """
    from transformers import AutoTokenizer, CLIPTextModel

    quiet("transformers")
    try:
        tokenizer = AutoTokenizer.from_pretrained(pipeline / "tokenizer", local_files_only=True)
        tower = CLIPTextModel.from_pretrained(
            pipeline / "text_encoder",
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
        )
    except (OSError, ValueError, TypeError, AttributeError, ImportError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise GeneratorError(
            f"{pipeline}: no CLIP text encoder can be opened ({reason}); expected a generator "
            "trained here, rerun `dvc repro generator`"
        ) from error
    return tokenizer, tower.eval().requires_grad_(requires_grad=False)


def build_clip(settings: Teacher, text_tower: TextTower, *, image_size: int) -> ClipModel:
    """A CLIPModel with the text tower's weights and a fresh image tower and projections."""
    from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig

    vision = CLIPVisionConfig(
        hidden_size=settings.width,
        intermediate_size=2 * settings.width,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.width // HEAD_WIDTH,
        image_size=image_size,
        patch_size=settings.patch_px,
        projection_dim=settings.width,
    )
    clip = CLIPModel(
        CLIPConfig(
            text_config=text_tower.config.to_dict(),
            vision_config=vision.to_dict(),
            projection_dim=settings.width,
        )
    )
    clip.text_model.load_state_dict(text_tower.state_dict())
    clip.text_model.requires_grad_(requires_grad=False)
    return clip


def trained_parts(clip: ClipModel) -> nn.Module:
    """What learns of a CLIPModel: all but its text tower."""
    parts = [clip.vision_model, clip.visual_projection, clip.text_projection]
    return nn.ModuleList([*parts, nn.ParameterList([clip.logit_scale])])


def contrastive_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """CLIP's loss for (images, captions) logits whose rows and columns have the given labels."""
    same = (labels[:, None] == labels[None, :]).float()
    targets = same / same.sum(dim=1, keepdim=True)
    rows = functional.cross_entropy(logits, targets)
    columns = functional.cross_entropy(logits.T, targets)
    return (rows + columns) / 2


def views_loss(views: Tensor) -> Tensor:
    """NT-Xent (Chen et al. 2020, eq. 1): row i and row i + n / 2 of unit vectors are one image.

    `views`: (n, dim), n even; a scalar.
    """
    cosines = views @ views.T / IMAGE_TEMPERATURE
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    twins = torch.arange(len(views), device=views.device).roll(len(views) // 2)
    return functional.cross_entropy(cosines.masked_fill(itself, -torch.inf), twins)


def teacher_loss(
    clip: ClipModel,
    texts: Tensor,
    images: tuple[np.ndarray, np.ndarray],
    settings: Teacher,
    *,
    seed: int,
) -> LossAt:
    """Both contrastive losses of slightly shifted images, as a function of the step.

    `texts` are what the text tower makes of every class, (num_classes, text_width); `images` are
    pixels, uint8 (num_images, height, width, 3), and labels, (num_images,).
    """
    pixels, labels = images
    classes = torch.from_numpy(labels)

    def loss_at(step: int) -> Tensor:
        draw = torch_stream(seed, "teacher", step)
        chosen = torch.randint(len(pixels), (settings.batch_size,), generator=draw)
        chosen_images = inputs(pixels, chosen, texts.device)
        views = torch.cat([shifted(chosen_images, draw) for _ in range(2)])
        image_features = functional.normalize(clip.get_image_features(views).pooler_output, dim=1)
        spoken = classes[chosen].to(texts.device)
        text_features = functional.normalize(clip.text_projection(texts), dim=1)[spoken]
        scale = clip.logit_scale.exp().clamp(max=MAX_LOGIT_SCALE)
        logits = scale * image_features[: len(spoken)] @ text_features.T
        return contrastive_loss(logits, spoken) + IMAGE_WEIGHT * views_loss(image_features)

    return loss_at


def shifted(images: Tensor, draw: torch.Generator) -> Tensor:
    """Images, (batch, channels, height, width), each moved a little, its border repeated."""
    batch, _, height, width = images.shape
    reach = max(1, round(SHIFT * min(height, width)))
    moves = torch.randint(2 * reach + 1, (2, batch, 1), generator=draw).to(images.device)
    framed = functional.pad(images, (reach,) * 4, mode="replicate")
    rows = moves[0] + torch.arange(height, device=images.device)
    columns = moves[1] + torch.arange(width, device=images.device)
    which = torch.arange(batch, device=images.device)[:, None, None]
    moved: Tensor = framed.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def save_clip(folder: Path, clip: ClipModel, tokenizer: Tokenizer, *, image_size: int) -> None:
    """Write an ordinary CLIPModel folder with tokenizer and image processor: no pickles."""
    from transformers import CLIPImageProcessor

    processor = CLIPImageProcessor(
        size={"shortest_edge": image_size},
        crop_size={"height": image_size, "width": image_size},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    with full_disk_errors(folder):
        clip.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    processor.save_pretrained(folder)
    forget_origin(folder)


def class_texts(text_tower: TextTower, tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """What the text tower makes of every text before projection: (num_texts, text_width)."""
    with torch.no_grad():
        pooled: Tensor = text_tower(tokens(tokenizer, texts)).pooler_output
    return pooled

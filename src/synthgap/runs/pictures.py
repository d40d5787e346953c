"""A picture of what a student saw, so that a person can check the augmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from synthgap.data import write_png
from synthgap.seeding import torch_stream
from synthgap.training.augmentation import augment
from synthgap.training.lesson import Lesson

COLUMNS, ROWS, MARGIN = 12, 8, 2


def save_samples(path: Path, lesson: Lesson) -> None:
    """Write a PNG grid: a row shows one image, then crops of it, as the first epoch cuts them."""
    draw = torch_stream(lesson.seed, "samples")
    rows = min(ROWS, len(lesson.images))
    shown = np.linspace(0, len(lesson.images) - 1, rows).astype(int)
    images = lesson.images.images[shown]
    crops = [images.float().div(255)]
    for part in augment(images, lesson.training, draw, lesson.pictures):
        crops += list(torch.split(part, rows))
    crops = crops[:COLUMNS]
    edge = max(32, images.shape[-1])
    step = edge + MARGIN
    canvas = Image.new("RGB", (len(crops) * step + MARGIN, rows * step + MARGIN), (128, 128, 128))
    for column, part in enumerate(crops):
        for row, image in enumerate(part.mul(255).round().byte().permute(0, 2, 3, 1).numpy()):
            scale = edge / images.shape[-1]
            size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
            tile = Image.fromarray(image).resize(size, Image.Resampling.NEAREST)
            canvas.paste(tile, (MARGIN + column * step, MARGIN + row * step))
    write_png(path, np.asarray(canvas))

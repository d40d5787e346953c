"""Forward passes over many images, always of full batches.

Another batch size rounds differently in the last bit: with full batches alone, what a network
answers depends on the image and on nothing beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

BATCH = 64  # images a forward pass


def in_full_batches(
    compute: Callable[[np.ndarray], Sequence[Tensor]], pixels: np.ndarray, batch: int = BATCH
) -> list[np.ndarray]:
    """Each of the answers of `compute`, float32 (num_images, ...), without gradients.

    `compute` takes `batch` images and gives tensors (batch, ...); `pixels` are uint8 (num_images,
    height, width, 3), at least one, and the last batch is padded with its last image.
    """
    parts = []
    for start in range(0, len(pixels), batch):
        some = pixels[start : start + batch]
        full = np.concatenate([some, np.repeat(some[-1:], batch - len(some), axis=0)])
        with torch.no_grad():
            parts.append([one[: len(some)].float().cpu().numpy() for one in compute(full)])
    return [np.concatenate(answers) for answers in zip(*parts, strict=True)]

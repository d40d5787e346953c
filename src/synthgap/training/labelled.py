"""Images in memory, ready for a student, and the order in which it sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthgap.seeding import stream

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Labelled:
    """Images with labels: uint8 (num_images, 3, size, size) and int64 (num_images,)."""

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, pixels: np.ndarray, labels: np.ndarray) -> Labelled:
        """Take uint8 (num_images, size, size, 3) pixels."""
        images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        return cls(images, torch.from_numpy(np.asarray(labels, dtype=np.int64)))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def subset(self, indices: np.ndarray) -> Labelled:
        """Keep the images at `indices`, in that order."""
        kept = torch.from_numpy(np.asarray(indices, dtype=np.int64))
        return Labelled(self.images[kept], self.labels[kept])

    def to(self, device: torch.device) -> Labelled:
        """Move both tensors to a device."""
        return Labelled(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Normalisation:
    """Per-channel mean and standard deviation in [0, 1] units, each (3,)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def imagenet(cls) -> Normalisation:
        """The constants every paper of this project uses by default."""
        return cls(*IMAGENET)

    @classmethod
    def measured(cls, labelled: Labelled) -> Normalisation:
        """Exact statistics over every pixel of a set (MtG Table 1), in float64."""
        values = labelled.images.double().div(255).transpose(0, 1).flatten(1)
        mean, std = values.mean(dim=1), values.std(dim=1, correction=0)
        return cls(tuple(mean.tolist()), tuple(std.clamp_min(1e-6).tolist()))

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise (batch, 3, height, width) float images in [0, 1]."""
        shape = (1, 3, 1, 1)
        mean = torch.tensor(self.mean, device=images.device, dtype=images.dtype).view(shape)
        std = torch.tensor(self.std, device=images.device, dtype=images.dtype).view(shape)
        return (images - mean) / std


def batches(
    num_images: int, batch_size: int, *, num_steps: int, seed: int, epoch: int
) -> Iterator[Tensor]:
    """Yield `num_steps` index batches (batch_size,) of one epoch, shuffled by (seed, epoch).

    Incomplete batches are dropped, as trex does; when one pass is not enough, another shuffle
    follows.
    """
    assert 0 < batch_size <= num_images
    given = 0
    draw = stream(seed, "order", epoch)
    while given < num_steps:
        order = torch.from_numpy(draw.permutation(num_images))
        for start in range(0, num_images - batch_size + 1, batch_size):
            if given == num_steps:
                return
            yield order[start : start + batch_size]
            given += 1

"""Images in memory with labels, and the statistics that normalise them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
RESIDENT_SHARE = 0.5  # of a GPU's free memory that a set may take


@dataclass(frozen=True)
class LabelledImages:
    """Images with labels: uint8 (num_images, 3, size, size) and int64 (num_images,).

    The images may be a view of a memory-mapped file: nothing here copies them as a whole.
    """

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, pixels: np.ndarray, labels: np.ndarray) -> LabelledImages:
        """Take uint8 (num_images, size, size, 3) pixels as they lie."""
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        return cls(images, torch.from_numpy(np.asarray(labels, dtype=np.int64)))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    @property
    def size_px(self) -> int:
        """Edge length."""
        return int(self.images.shape[-1])

    def subset(self, indices: np.ndarray) -> LabelledImages:
        """Keep the images at `indices`, in that order."""
        kept = torch.from_numpy(np.asarray(indices, dtype=np.int64))
        return LabelledImages(self.images[kept], self.labels[kept])

    def joined(self, other: LabelledImages) -> LabelledImages:
        """These images, then the other's."""
        return LabelledImages(
            torch.cat([self.images, other.images]), torch.cat([self.labels, other.labels])
        )

    def resident(self, device: torch.device) -> LabelledImages:
        """Move both tensors to a device where they fit; else leave them, batches move alone."""
        if device.type == "cuda":
            free = torch.cuda.mem_get_info(device)[0]
            if self.images.numel() > RESIDENT_SHARE * free:
                return self
        return LabelledImages(self.images.to(device), self.labels.to(device))


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
    def measured(cls, labelled: LabelledImages) -> Normalisation:
        """Exact statistics over every pixel of a set (MtG Table 1): sums of whole grey levels."""
        counts = torch.zeros(3, 256, dtype=torch.float64)
        for images in torch.split(labelled.images, 1024):
            for channel in range(3):
                levels = images[:, channel].flatten().long()
                counts[channel] += torch.bincount(levels, minlength=256).double()
        levels = torch.arange(256, dtype=torch.float64) / 255
        shares = counts / counts.sum(dim=1, keepdim=True)
        mean = shares @ levels
        variance = (shares * (levels - mean[:, None]) ** 2).sum(dim=1)
        return cls(tuple(mean.tolist()), tuple(variance.sqrt().clamp_min(1e-6).tolist()))

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise (batch, 3, height, width) float images in [0, 1]."""
        shape = (1, 3, 1, 1)
        mean = torch.tensor(self.mean, device=images.device, dtype=images.dtype).view(shape)
        std = torch.tensor(self.std, device=images.device, dtype=images.dtype).view(shape)
        return (images - mean) / std

"""How much of an image's texture is that of another, and how much of its shape is left.

Neither statistic asks the network that made the image, nor which classes there are. Images are
uint8 (num_images, height, width, 3).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from synthgap.seeding import torch_stream

NUM_FILTERS, FILTER_PX, SCALES = 48, 5, 2
BATCH = 64
LUMINANCE = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1)
LEAST_VARIANCE = 1e-6  # of levels from 0 to 1: below, an image is flat


def texture_distance(images: np.ndarray, others: np.ndarray) -> float:
    """Mean distance of the textures of image k and of other k: 0 equal, 1 nothing in common.

    A texture is the Gram matrices (Gatys et al. 2015, eq. 3) of random filters at two scales, which
    tell textures apart as well as learned ones do (Ustyuzhaninov et al. 2017). Each filter sums to
    0 in each colour, so that flat colour counts for nothing. The distance of Gram matrices A and B
    is |A - B| / (|A| + |B|).

    Both are uint8 (num_images, height, width, 3).
    """
    filters = _filters()
    distances = []
    for ours, theirs in _batches(images, others):
        first, second = _texture(ours, filters), _texture(theirs, filters)
        size = first.norm(dim=1) + second.norm(dim=1)
        distances.append((first - second).norm(dim=1) / size.clamp(min=LEAST_VARIANCE))
    return float(torch.cat(distances).double().mean())


def shape_kept(originals: np.ndarray, results: np.ndarray) -> float:
    """Mean share of an original's light and dark that the colours of its result still tell, 0 to 1.

    The share of the luminance's variance over the pixels that a linear function of the result's
    three colours explains: colours may swap and light turn dark, as styles do, but a shape that is
    gone explains nothing. Of a flat original nothing can be lost.

    Both are uint8 (num_images, height, width, 3).
    """
    shares = []
    for before, after in _batches(originals, results):
        light = (before.flatten(2) * LUMINANCE).sum(1, keepdim=True).double()
        colours = after.flatten(2).double()
        light, colours = (part - part.mean(dim=2, keepdim=True) for part in (light, colours))
        spread = colours @ colours.mT + LEAST_VARIANCE * torch.eye(3, dtype=torch.float64)
        shared = colours @ light.mT
        explained = (shared * torch.linalg.solve(spread, shared)).sum(dim=(1, 2))
        total = light.square().sum(dim=(1, 2))
        flat = total <= LEAST_VARIANCE * light.shape[2]
        shares.append(torch.where(flat, 1.0, explained / total.clamp(min=LEAST_VARIANCE)))
    return float(torch.cat(shares).mean())


def mean_contrast(images: np.ndarray) -> float:
    """Mean over the images of the levels' standard deviation within one, 0 to 255.

    `images`: uint8 (num_images, height, width, 3).
    """
    return float(np.mean([image.std() for image in images]))


def _texture(images: Tensor, filters: Tensor) -> Tensor:
    """Gram matrices at all scales, (batch, SCALES * NUM_FILTERS ** 2)."""
    found = []
    for scale in range(SCALES):
        scaled = functional.avg_pool2d(images, 2) if scale else images
        responses = functional.relu(functional.conv2d(scaled, filters)).flatten(2)
        found.append((responses @ responses.mT / responses.shape[2]).flatten(1))
    return torch.cat(found, dim=1)


def _filters() -> Tensor:
    """The same ones for every set and seed, so that numbers can be compared."""
    shape = (NUM_FILTERS, 3, FILTER_PX, FILTER_PX)
    drawn = torch.randn(shape, generator=torch_stream(0, "texture", "filters"))
    drawn -= drawn.mean(dim=(2, 3), keepdim=True)
    filters: Tensor = drawn / drawn.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return filters


def _batches(images: np.ndarray, others: np.ndarray) -> list[tuple[Tensor, Tensor]]:
    assert len(images) == len(others) > 0
    pairs = [
        tuple(
            torch.from_numpy(part[start : start + BATCH].copy()).permute(0, 3, 1, 2).float() / 255
            for part in (images, others)
        )
        for start in range(0, len(images), BATCH)
    ]
    return [(first, second) for first, second in pairs]

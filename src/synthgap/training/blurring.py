"""Gaussian blur of a batch, with a width of its own for every sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from synthgap.training.parts import change

CUT = 3.0  # standard deviations


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur image i in place with standard deviation `sigma[i]` px, 0 for not at all; return all.

    images: (n, channels, height, width); sigma: (n,) on the CPU. A kernel ends after three standard
    deviations, rounded up; what is beyond an edge is its reflection.
    """
    largest = min(images.shape[-2:]) - 1
    radii = [min(math.ceil(CUT * width), largest) for width in sigma.tolist()]
    for radius in sorted(set(radii) - {0}):
        alike = torch.tensor([row for row, own in enumerate(radii) if own == radius])
        taps = _kernels(sigma[alike], radius).to(images.device, non_blocking=True)
        change(images, alike, _Blurring(taps).run)
    return images


def _kernels(sigma: Tensor, radius: int) -> Tensor:
    """Middle and right half, (radius + 1, n, 1), of normalised kernels.

    In float64, so that the last bit of a kernel does not depend on which others it is made with.
    """
    kernels = torch.exp(-0.5 * (torch.arange(radius + 1)[:, None] / sigma.double()) ** 2)
    return (kernels / (kernels[0] + 2 * kernels[1:].sum(dim=0))).float()[..., None]


class _Blurring:
    """Sums of shifted copies of one padded and flattened array, one way after the other.

    On a CPU they beat products with banded matrices and grouped convolution.
    """

    def __init__(self, taps: Tensor) -> None:
        self.taps = taps

    def run(self, images: Tensor, which: slice) -> Tensor:
        count, _, height, _ = images.shape
        radius = len(self.taps) - 1
        padded = functional.pad(images, [radius] * 4, mode="reflect")
        stride = padded.shape[-1]
        flat = self._sum(padded.view(count, -1), which, stride)
        flat = self._sum(flat, which, 1)
        strides = (flat.stride(0), (height + 2 * radius) * stride, stride, 1)
        return flat.as_strided(images.shape, strides)

    def _sum(self, flat: Tensor, which: slice, step: int) -> Tensor:
        """Sum over r of taps[|r|] times `flat` (n, pixels) shifted by r steps, where all exist."""
        radius = len(self.taps) - 1
        kept = flat.shape[1] - 2 * radius * step
        total = flat.narrow(1, radius * step, kept) * self.taps[0, which]
        pair = torch.empty_like(total)
        for by in range(1, radius + 1):
            left, right = (flat.narrow(1, (radius + side) * step, kept) for side in (-by, by))
            torch.add(left, right, out=pair)
            total.addcmul_(pair, self.taps[by, which])
        return total

"""Rotate hues without a branch a pixel."""

from __future__ import annotations

import torch
from torch import Tensor

NEVER_ZERO = 1e-12
WITHOUT_WRAP = 1 / 6  # turns; up to there a rotated hue stays where the distances below hold


def rotate_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Rotate the HSV hue of sample i by `turns[i]` (1 is the full circle, at most half of it).

    images: (n, 3, height, width) in [0, 1]; turns: (n,) on the CPU. In sixths of the circle, a hue
    is (green + blue - red - min) / (max - min) + 1, negative where blue exceeds green; a channel
    falls with the distance to its own hue (0, 2 and -2), by one from distance 1 to 2.
    """
    red, green, blue = images.unbind(dim=1)
    bottom = torch.minimum(torch.minimum(red, green), blue)
    spread = torch.maximum(torch.maximum(red, green), blue).sub_(bottom).add_(NEVER_ZERO)
    hue = (green + blue).sub_(red).sub_(bottom).div_(spread).add_(1)
    hue = torch.copysign(hue, green - blue)
    hue += 6 * turns.to(images.device, non_blocking=True)[:, None, None]
    far = (turns.abs() > WITHOUT_WRAP).nonzero()[:, 0].to(images.device, non_blocking=True)
    if len(far) > 0:
        hue.index_add_(0, far, (hue[far] / 6).round_(), alpha=-6)
    own = torch.tensor([0.0, 2.0, -2.0], device=images.device).view(1, 3, 1, 1)
    level = (hue[:, None] - own).abs_().sub_(3).abs_().clamp_(1, 2)
    return torch.addcmul((bottom - spread)[:, None], spread[:, None], level)

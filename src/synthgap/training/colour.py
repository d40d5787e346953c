"""Colour jitter, grayscale, blur and solarisation of a batch, drawn for every sample alone.

Images are (batch, 3, height, width), float32 in [0, 1], before and after.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from synthgap.params.sections import Crops

LUMA = (0.299, 0.587, 0.114)
BLUR_SIGMA = (0.1, 2.0)  # px at 224, trex
BLUR_REFERENCE_PX = 224


def distort(images: Tensor, crops: Crops, generator: torch.Generator) -> Tensor:
    """Apply trex's order: jitter, grayscale, blur, solarise; probability 0 costs nothing."""
    batch = len(images)
    if crops.jitter:
        images = _chosen(images, _jitter(images, crops, generator), crops.jitter, generator)
    if crops.grayscale:
        gray = luma(images).expand_as(images)
        images = _chosen(images, gray, crops.grayscale, generator)
    if crops.blur:
        scale = images.shape[-1] / BLUR_REFERENCE_PX
        sigma = torch.empty(batch).uniform_(*BLUR_SIGMA, generator=generator) * scale
        images = _chosen(images, blur(images, sigma), crops.blur, generator)
    if crops.solarise:
        inverted = torch.where(images >= 128 / 255, 1 - images, images)
        images = _chosen(images, inverted, crops.solarise, generator)
    return images


def luma(images: Tensor) -> Tensor:
    """Grayscale (batch, 1, height, width) by ITU-R 601 weights."""
    weights = torch.tensor(LUMA, device=images.device, dtype=images.dtype).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur with one standard deviation (px) a sample; edges are reflected."""
    batch, channels, height, width = images.shape
    radius = min(max(1, math.ceil(3 * float(sigma.max()))), min(height, width) - 1)
    offsets = torch.arange(-radius, radius + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp_min(1e-3)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).to(images.device)
    kernel = kernel.repeat_interleave(channels, dim=0)
    flat = images.reshape(1, batch * channels, height, width)
    flat = functional.pad(flat, [radius] * 4, mode="reflect")
    flat = functional.conv2d(flat, kernel[:, None, :, None], groups=batch * channels)
    flat = functional.conv2d(flat, kernel[:, None, None, :], groups=batch * channels)
    return flat.reshape(batch, channels, height, width)


def rotate_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Rotate the HSV hue of sample i by `turns[i]` (in turns; 1 is the full circle)."""
    top, bottom = images.amax(dim=1), images.amin(dim=1)
    spread = (top - bottom).clamp_min(1e-8)
    red, green, blue = images.unbind(dim=1)
    hue = torch.where(
        top == red,
        (green - blue) / spread,
        torch.where(top == green, 2 + (blue - red) / spread, 4 + (red - green) / spread),
    )
    hue = torch.remainder(hue / 6 + turns.view(-1, 1, 1), 1.0)
    position = torch.tensor([5.0, 3.0, 1.0], device=images.device).view(1, 3, 1, 1)
    wave = torch.remainder(position + hue[:, None] * 6, 6)
    share = torch.minimum(wave, 4 - wave).clamp(0, 1)
    return top[:, None] - (top - bottom)[:, None] * share


def _jitter(images: Tensor, crops: Crops, generator: torch.Generator) -> Tensor:
    strengths = (crops.brightness, crops.contrast, crops.saturation, crops.hue)
    for which in torch.randperm(4, generator=generator).tolist():
        strength = strengths[which]
        if strength == 0:
            continue
        amount = torch.empty(len(images)).uniform_(-strength, strength, generator=generator)
        amount = amount.to(images.device)
        if which == 3:
            images = rotate_hue(images, amount)
        else:
            factor = (1 + amount).clamp_min(0).view(-1, 1, 1, 1)
            images = (images * factor + _anchor(images, which) * (1 - factor)).clamp(0, 1)
    return images


def _anchor(images: Tensor, which: int) -> Tensor:
    if which == 0:
        return torch.zeros_like(images)
    gray = luma(images)
    return gray.mean(dim=(1, 2, 3), keepdim=True) if which == 1 else gray


def _chosen(
    before: Tensor, after: Tensor, probability: float, generator: torch.Generator
) -> Tensor:
    chosen = torch.rand(len(before), generator=generator) < probability
    return torch.where(chosen.to(before.device).view(-1, 1, 1, 1), after, before)

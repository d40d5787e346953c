"""Rotate hues without a branch a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional

from synthgap.params.sections import Crops
from synthgap.training.draws import Draws, change_rows, crop_major

EPSILON = 1e-12
WITHOUT_WRAP = 1 / 6  # turns; up to there a rotated hue stays where the distances below hold


def rotate_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Rotate the HSV hue of sample i by `turns[i]` (1 is the full circle, at most half of it).

    images: (n, 3, height, width) in [0, 1]; turns: (n,) on the CPU. In sixths of the circle, a hue
    is (green + blue - red - min) / (max - min) + 1, negative where blue exceeds green; a channel
    falls with the distance to its own hue (0, 2 and -2), by one from distance 1 to 2.
    """
    red, green, blue = images.unbind(dim=1)
    bottom = torch.minimum(torch.minimum(red, green), blue)
    spread = torch.maximum(torch.maximum(red, green), blue).sub_(bottom).add_(EPSILON)
    hue = (green + blue).sub_(red).sub_(bottom).div_(spread).add_(1)
    hue = torch.copysign(hue, green - blue)
    hue += 6 * turns.to(images.device, non_blocking=True)[:, None, None]
    far = (turns.abs() > WITHOUT_WRAP).nonzero()[:, 0].to(images.device, non_blocking=True)
    if len(far) > 0:
        hue.index_add_(0, far, (hue[far] / 6).round_(), alpha=-6)
    own = torch.tensor([0.0, 2.0, -2.0], device=images.device).view(1, 3, 1, 1)
    level = (hue[:, None] - own).abs_().sub_(3).abs_().clamp_(1, 2)
    return torch.addcmul((bottom - spread)[:, None], spread[:, None], level)


BLUR_TRUNCATE = 3.0  # standard deviations


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur image i in place with standard deviation `sigma[i]` px, 0 for not at all; return all.

    images: (n, channels, height, width); sigma: (n,) on the CPU. A kernel ends after three standard
    deviations, rounded up; what is beyond an edge is its reflection.
    """
    largest = min(images.shape[-2:]) - 1
    radii = [min(math.ceil(BLUR_TRUNCATE * width), largest) for width in sigma.tolist()]
    for radius in sorted(set(radii) - {0}):
        alike = torch.tensor([row for row, own in enumerate(radii) if own == radius])
        taps = _kernels(sigma[alike], radius).to(images.device, non_blocking=True)
        change_rows(images, alike, _SeparableBlur(taps).run)
    return images


def _kernels(sigma: Tensor, radius: int) -> Tensor:
    """Middle and right half, (radius + 1, n, 1), of normalised kernels.

    In float64, so that the last bit of a kernel does not depend on which others it is made with.
    """
    kernels = torch.exp(-0.5 * (torch.arange(radius + 1)[:, None] / sigma.double()) ** 2)
    return (kernels / (kernels[0] + 2 * kernels[1:].sum(dim=0))).float()[..., None]


class _SeparableBlur:
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


LUMA = (0.299, 0.587, 0.114)  # ITU-R 601
BLUR_SIGMA = (0.1, 2.0)  # px where global crops have 224, trex
BLUR_REFERENCE_PX = 224
SOLARISE_FROM = 127.5 / 255  # levels from 128 on are inverted
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
ORDERS = list(permutations(range(4)))
KINDS = torch.tensor([[kind for kind in order if kind != HUE] for order in ORDERS])  # (24, 3)
HUE_PLACE = torch.tensor([order.index(HUE) for order in ORDERS])  # after so many of the others
NEVER = 4


@dataclass(frozen=True)
class ColourDraws(Draws):
    """What happens to the colours of (batch, count) crops."""

    jittered: Tensor  # bool
    order: Tensor  # int64, a row of ORDERS
    factors: Tensor  # (batch, count, 3) of brightness, contrast and saturation
    turns: Tensor  # of the hue, 1 is the full circle
    gray: Tensor  # bool
    sigma: Tensor  # px, 0 where nothing is blurred
    solarised: Tensor  # bool


def draw_colours(
    crops: Crops, shape: tuple[int, int], *, reference_px: int, generator: torch.Generator
) -> ColourDraws:
    """Draw for `shape` (batch, count) crops; `reference_px` is the side of the global ones."""

    def share(probability: float) -> Tensor:
        return torch.rand(shape, generator=generator) < probability

    strengths = torch.tensor([crops.brightness, crops.contrast, crops.saturation])
    amounts = torch.empty(*shape, 4).uniform_(-1, 1, generator=generator)
    scale = reference_px / BLUR_REFERENCE_PX
    sigma = torch.empty(shape).uniform_(*BLUR_SIGMA, generator=generator) * scale
    return ColourDraws(
        jittered=share(crops.jitter),
        order=torch.randint(len(ORDERS), shape, generator=generator),
        factors=(1 + amounts[..., :3] * strengths).clamp_min(0),
        turns=amounts[..., 3] * crops.hue,
        gray=share(crops.grayscale),
        sigma=sigma * share(crops.blur),
        solarised=share(crops.solarise),
    )


def apply_colours(images: Tensor, colours: ColourDraws) -> Tensor:
    """Change `images` (crop by crop) in place and return them: jitter, gray, blur, solarise.

    The order is trex's; what a crop is not drawn for costs nothing.

    `images`: float (crops, 3, size, size), levels 0 to 255.
    """
    jitter(images, colours)
    change_rows(images, _chosen(colours.gray), lambda part, _: luma(part).expand_as(part))
    blur(images, crop_major(colours.sigma))
    change_rows(images, _chosen(colours.solarised), lambda part, _: solarise(part))
    return images


def luma(images: Tensor) -> Tensor:
    """Grayscale (n, 1, height, width) by ITU-R 601 weights."""
    gray = images[:, :1] * LUMA[0]
    return gray.add_(images[:, 1:2], alpha=LUMA[1]).add_(images[:, 2:], alpha=LUMA[2])


def solarise(images: Tensor) -> Tensor:
    """Invert levels from 128 on.

    `images`: float (crops, 3, size, size), levels 0 to 255.
    """
    bright = torch.ge(images, SOLARISE_FROM, out=torch.empty_like(images))
    return torch.addcmul(images, bright, 1 - 2 * images)


def jitter(images: Tensor, colours: ColourDraws) -> None:
    """Change brightness, contrast, saturation and hue of `images` in place, each in its order.

    `images`: float (crops, 3, size, size), levels 0 to 255.
    """
    chosen, order = _chosen(colours.jittered), crop_major(colours.order)
    hue_place = HUE_PLACE[order[chosen]]
    if not colours.turns.any():
        hue_place = torch.full_like(hue_place, NEVER)
    for place in sorted(set(hue_place.tolist())):
        # alike in when the hue turns, so one straight line of work; contrast sorted, for its means
        alike = chosen[hue_place == place]
        kinds = KINDS[order[alike]]
        sorting = (kinds == CONTRAST).int().argmax(dim=1).argsort(stable=True)
        alike, kinds = alike[sorting], kinds[sorting]
        factors = crop_major(colours.factors)[alike].gather(1, kinds)
        turns = crop_major(colours.turns)[alike]
        line = _ColourJitter.of(place, kinds, factors, turns=turns, device=images.device)
        change_rows(images, alike, line.run)


@dataclass(frozen=True)
class _ColourJitter:
    """Brightness, contrast and saturation, each a blend that is then clamped, around the hue.

    For n crops whose hue turns at the same place, sorted by the step of contrast. A blend is
    factor x image + (1 - factor) x (black, the mean grey, or the grey of each pixel).
    """

    place: int  # of the hue: after so many steps
    kinds: list[list[int]]  # a list of n for each of the 3 steps
    factors: Tensor  # (3, n, 1, 1, 1) on the device
    grays: Tensor  # the same of what saturation adds of each pixel's grey
    means: Tensor  # and of what contrast adds of the mean grey
    turns: Tensor  # (n,)

    @classmethod
    def of(
        cls, place: int, kinds: Tensor, factors: Tensor, *, turns: Tensor, device: torch.device
    ) -> _ColourJitter:
        grays, means = ((kinds == kind) * (1 - factors) for kind in (SATURATION, CONTRAST))
        shares = torch.stack([factors, grays, means]).transpose(1, 2)[..., None, None, None]
        shares = shares.to(device, non_blocking=True)
        return cls(place, kinds.T.tolist(), shares[0], shares[1], shares[2], turns)

    def run(self, images: Tensor, which: slice) -> Tensor:
        """Jitter the crops `which` of the n, in place."""
        for step in range(3):
            if step == self.place:
                images = rotate_hue(images, self.turns[which])
            self._step(images, which, step)
        return rotate_hue(images, self.turns[which]) if self.place == 3 else images

    def _step(self, images: Tensor, which: slice, step: int) -> None:
        kinds, factors = self.kinds[step][which], self.factors[step, which]
        if SATURATION not in kinds and CONTRAST not in kinds:
            images.mul_(factors).clamp_(0, 1)
            return
        gray = luma(images)
        start, number = kinds.index(CONTRAST) if CONTRAST in kinds else 0, kinds.count(CONTRAST)
        same = slice(start, start + number)
        mean = gray[same].mean(dim=(2, 3), keepdim=True).mul_(self.means[step, which][same])
        if SATURATION in kinds:
            gray.mul_(self.grays[step, which])[same] += mean
            images.mul_(factors).add_(gray).clamp_(0, 1)
        else:
            images.mul_(factors)[same] += mean
            images.clamp_(0, 1)


def _chosen(mask: Tensor) -> Tensor:
    return crop_major(mask).nonzero()[:, 0]

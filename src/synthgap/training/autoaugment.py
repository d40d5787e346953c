"""AutoAugment with the policy learned on ImageNet (Cubuk et al. 2019, Table 9)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthgap.training.crops import centre_crop_float
from synthgap.training.operations import KIND, Operations, apply_operations

LARGEST_BIN = 9  # magnitudes have the bins 0 to 9
Step = tuple[str, float, int]  # operation, probability, bin of its magnitude

POLICY: tuple[tuple[Step, Step], ...] = (
    (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
    (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
    (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
    (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
    (("equalize", 0.4, 0), ("rotate", 0.8, 8)),
    (("solarize", 0.6, 3), ("equalize", 0.6, 0)),
    (("posterize", 0.8, 5), ("equalize", 1.0, 0)),
    (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
    (("equalize", 0.6, 0), ("posterize", 0.4, 6)),
    (("rotate", 0.8, 8), ("color", 0.4, 0)),
    (("rotate", 0.4, 9), ("equalize", 0.6, 0)),
    (("equalize", 0.0, 0), ("equalize", 0.8, 0)),
    (("invert", 0.6, 0), ("equalize", 1.0, 0)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("rotate", 0.8, 8), ("color", 1.0, 2)),
    (("color", 0.8, 8), ("solarize", 0.8, 7)),
    (("sharpness", 0.4, 7), ("invert", 0.6, 0)),
    (("shear_x", 0.6, 5), ("equalize", 1.0, 0)),
    (("color", 0.4, 0), ("equalize", 0.6, 0)),
    (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
    (("invert", 0.6, 0), ("equalize", 1.0, 0)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
)


def amount(name: str, number: int, *, sign: int) -> float:
    """What bin `number` of an operation's magnitude means; `sign` (-1 or 1) where it has one."""
    share = number / LARGEST_BIN
    if name == "shear_x":
        return sign * 0.3 * share
    if name == "rotate":
        return sign * 30 * share
    if name in ("color", "contrast", "sharpness"):
        return 1 + sign * 0.9 * share
    if name == "posterize":
        return 8.0 - round(4 * share)
    if name == "solarize":
        return 255 * (1 - share)
    return 0.0


_KINDS = torch.tensor([[KIND[name] for name, _, _ in pair] for pair in POLICY])
_SHARES = torch.tensor([[probability for _, probability, _ in pair] for pair in POLICY])
_AMOUNTS = torch.tensor(
    [
        [[amount(name, number, sign=sign) for name, _, number in pair] for pair in POLICY]
        for sign in (-1, 1)
    ]
)


@dataclass(frozen=True)
class AutoAugment:
    """The centre of an image, then one of the policy's 25 pairs of operations."""

    size_px: int
    num_views: int = 1
    deterministic: bool = False

    def draw(self, batch: int, height: int, width: int, generator: torch.Generator) -> Operations:  # noqa: ARG002 - a policy
        """Draw a pair a sample, whether each half happens, and its direction."""
        pair = torch.randint(len(POLICY), (batch,), generator=generator)
        happens = torch.rand(batch, 2, generator=generator) < _SHARES[pair]
        sign = torch.randint(2, (batch, 2), generator=generator)
        amounts = _AMOUNTS[sign, pair[:, None], torch.arange(2)]
        return Operations(_KINDS[pair] * happens, amounts)

    def apply(self, images: Tensor, draws: Operations) -> list[Tensor]:
        """Apply both halves, with the nearest pixel where pixels move.

        `images`: uint8 (batch, 3, height, width); views are float (batch, 3, size, size).
        """
        crops = centre_crop_float(images, self.size_px)
        for half in range(2):
            apply_operations(
                crops, draws.kinds[:, half], draws.amounts[:, half], sampling="nearest"
            )
        return [crops]

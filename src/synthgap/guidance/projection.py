"""Real Guidance: what opposes the real images leaves the synthetic gradient.

Wang et al., "Improving the Effectiveness of Deep Generative Data", eq. 3 to 5; with lambda_1 = 0
and lambda_2 = 1 it is A-GEM (Chaudhry et al., ICLR 2019, eq. 11).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from synthgap.params.guidance_losses import Rg


def guided_update(
    real: Sequence[Tensor],
    synthetic: Sequence[Tensor],
    rg: Rg,
    groups: Sequence[Sequence[int]] | None = None,
) -> list[Tensor]:
    """lambda_1 g_r + lambda_2 (g_f - min(0, g_f.g_r) / g_r.g_r g_r), in the place of `synthetic`.

    Gradients are one tensor a parameter, and those of the whole batch: added up over all parts and
    processes first, since a mean of projections is no projection of means. Both dot products are
    over all parameters, or by `groups` of their positions (a unit's each) over each alone. Where
    the gradients agree, or the real one is 0, nothing is taken away. Nothing waits for the device.
    """
    for group in [range(len(real))] if groups is None else groups:
        products = [_products(*_lines(synthetic[index], real[index])) for index in group]
        product, length = torch.stack(products).sum(dim=0)
        against = product.clamp_max(0) / length.clamp_min(torch.finfo(length.dtype).tiny)
        weight = rg.lambda_1 - rg.lambda_2 * against
        for index in group:
            if rg.lambda_2 != 1:
                synthetic[index].mul_(rg.lambda_2)
            synthetic[index].addcmul_(real[index], weight)
    return list(synthetic)


def _lines(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both as vectors, in the order in which `one` lies in memory: flattening copies otherwise."""
    order = sorted(range(one.ndim), key=one.stride, reverse=True)
    return one.permute(order).reshape(-1), other.permute(order).reshape(-1)


def _products(synthetic: Tensor, real: Tensor) -> Tensor:
    """g_f.g_r and g_r.g_r, (2,)."""
    return torch.stack([torch.dot(synthetic, real), torch.dot(real, real)])

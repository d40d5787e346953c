"""Arrange a network for speed: the same function and weights, other last bits, less time."""

from __future__ import annotations

import torch
from torch import nn

from synthgap.models.small_maps import SmallMapConv2d


def arrange(model: nn.Module) -> None:
    """Change `model` in place: its state dict keeps names, shapes and values.

    Four-dimensional weights lie channels-last, as the fast kernels of CPUs and GPUs want them, and
    activations follow. Convolutions over small maps are spared the padding.
    """
    for module in model.modules():
        if type(module) is nn.Conv2d and _is_plain(module):
            module.__class__ = SmallMapConv2d
    model.to(memory_format=torch.channels_last)


def _is_plain(module: nn.Conv2d) -> bool:
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        return False
    sees_the_map = all(
        padding < kernel for padding, kernel in zip(module.padding, module.kernel_size, strict=True)
    )
    return sees_the_map and module.groups == 1 and module.dilation == (1, 1)

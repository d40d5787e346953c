"""Lay a network out for speed: channels-last weights, and fast convolutions of tiny maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

MAX_PIXELS = 4  # of a result; with more, oneDNN was measured to be faster


class SmallMapConv2d(nn.Conv2d):
    """A convolution that goes the short way on a CPU where its result has few pixels."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (batch, channels, height, width)."""
        shape = self._shape(input)
        if shape is None:
            return super().forward(input)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else input.dtype
        with torch.autocast("cpu", enabled=False):
            found: Tensor = _SmallMap.apply(input.to(dtype), self.weight.to(dtype), shape)
            return found if self.bias is None else found + self.bias.to(dtype)[:, None, None]

    def _shape(self, images: Tensor) -> _ConvShape | None:
        if images.device.type != "cpu" or torch.compiler.is_compiling():
            return None
        assert not isinstance(self.padding, str)
        height, width = images.shape[2:]
        shape = _ConvShape(
            _Side(height, self.kernel_size[0], self.stride[0], self.padding[0]),
            _Side(width, self.kernel_size[1], self.stride[1], self.padding[1]),
        )
        pixels = shape.rows.result * shape.columns.result
        padded = self.padding != (0, 0)
        return shape if pixels == 1 or (padded and 1 < pixels <= MAX_PIXELS) else None


@dataclass(frozen=True)
class _Side:
    """One dimension of a convolution."""

    size: int
    kernel: int
    stride: int
    padding: int

    @property
    def result(self) -> int:
        return max(0, (self.size + 2 * self.padding - self.kernel) // self.stride + 1)

    def visible(self, place: int) -> tuple[int, int, int]:
        """First pixel and the one after the last that result `place` sees, and its first weight."""
        start = place * self.stride - self.padding
        first = max(0, start)
        return first, min(self.size, start + self.kernel), first - start


@dataclass(frozen=True)
class _Product:
    """One row of the kernel at one pixel of the result; slices count channels within a row."""

    pixel: tuple[int, int]
    row: int
    columns: slice
    kernel_row: int
    kernel_columns: slice


@dataclass(frozen=True)
class _ConvShape:
    """Height and width of a convolution."""

    rows: _Side
    columns: _Side

    def products(self, channels: int) -> Iterator[_Product]:
        for down in range(self.rows.result):
            top, bottom, kernel_row = self.rows.visible(down)
            for across in range(self.columns.result):
                left, right, kernel_left = self.columns.visible(across)
                kernel_right = kernel_left + right - left
                for row in range(top, bottom):
                    yield _Product(
                        (down, across),
                        row,
                        slice(left * channels, right * channels),
                        kernel_row + row - top,
                        slice(kernel_left * channels, kernel_right * channels),
                    )


@lru_cache(maxsize=256)
def _products(shape: _ConvShape, channels: int) -> tuple[_Product, ...]:
    return tuple(shape.products(channels))


class _SmallMap(torch.autograd.Function):
    """The convolution without bias, and its gradients in the layout of what they belong to."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, shape: _ConvShape) -> Tensor:  # noqa: ANN401 - torch's
        pixels, kernel = _rows(images), _rows(weight)
        made = images.new_zeros(len(images), shape.rows.result, shape.columns.result, len(weight))
        for product in _products(shape, images.shape[1]):
            visible = pixels[:, product.row, product.columns]
            weights = kernel[:, product.kernel_row, product.kernel_columns]
            made[:, *product.pixel].addmm_(visible, weights.t())
        ctx.save_for_backward(images, weight)
        ctx.shape = shape
        return made.permute(0, 3, 1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # noqa: ANN401 - torch's
        images, weight = ctx.saved_tensors
        needs_images, needs_weight, _ = ctx.needs_input_grad
        given = gradients[0].permute(0, 2, 3, 1)
        pixels, kernel = _rows(images), _rows(weight)
        for_images = torch.zeros_like(pixels) if needs_images else None
        for_kernel = torch.zeros_like(kernel) if needs_weight else None
        for product in _products(ctx.shape, images.shape[1]):
            pulled = given[:, *product.pixel]
            here = (slice(None), product.row, product.columns)
            there = (slice(None), product.kernel_row, product.kernel_columns)
            if for_images is not None:
                for_images[here].addmm_(pulled, kernel[there])
            if for_kernel is not None:
                for_kernel[there].addmm_(pulled.t(), pixels[here])
        return _like(images, for_images), _like(weight, for_kernel), None


def _rows(maps: Tensor) -> Tensor:
    """See (n, channels, height, width) as (n, height, width * channels)."""
    return maps.permute(0, 2, 3, 1).flatten(2)


def _like(maps: Tensor, rows: Tensor | None) -> Tensor | None:
    """Undo `_rows`; channels-last in memory."""
    if rows is None:
        return None
    channels, height, width = maps.shape[1:]
    return rows.view(len(maps), height, width, channels).permute(0, 3, 1, 2)


def optimise_layout(model: nn.Module) -> None:
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

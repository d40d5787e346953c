"""What chance decided for a batch: drawn once, cut into rows, applied without a generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self

from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """Tensors (batch, ...), one row a sample, on the CPU: what to do to whom is known to Python.

    So a GPU never waits for an answer of its own, and processes that draw alike for the whole
    batch can each apply their own rows.
    """

    def rows(self, indices: Tensor) -> Self:
        """Keep the part that belongs to the samples `indices` (kept,) of the batch."""
        return type(self)(**{field.name: self._part(field.name, indices) for field in fields(self)})

    def _part(self, name: str, indices: Tensor) -> Tensor | Draws | None:
        drawn = getattr(self, name)
        if drawn is None:
            return None
        if isinstance(drawn, Draws):
            return drawn.rows(indices)
        assert isinstance(drawn, Tensor)
        return drawn[indices]


def crop_major(drawn: Tensor) -> Tensor:
    """Turn (batch, count, ...) into (count * batch, ...): crop c of sample i at c * batch + i."""
    return drawn.transpose(0, 1).flatten(0, 1)


PART_FLOATS = 2**17  # at a time on a CPU: half of a second-level cache
GPU_PART_FLOATS = 2**28


def change_rows(images: Tensor, indices: Tensor, work: Callable[[Tensor, slice], Tensor]) -> None:
    """Replace images[indices] by work(images[indices[which]], which), part by part, in place.

    `work` may change what it is given and return that.

    `images`: (num_images, 3, height, width); `indices`: int64 (num_changed,).
    """
    on_cpu = images.device.type == "cpu"
    step = max(1, (PART_FLOATS if on_cpu else GPU_PART_FLOATS) // images[0].numel())
    for start in range(0, len(indices), step):
        which = slice(start, start + step)
        if step == 1:  # large images are changed where they are
            part = images.narrow(0, int(indices[start]), 1)
            made = work(part, which)
            if made is not part:
                part.copy_(made)
            continue
        rows = indices[which].to(images.device, non_blocking=True)
        images.index_copy_(0, rows, work(images.index_select(0, rows), which))

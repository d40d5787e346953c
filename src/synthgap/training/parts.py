"""Change some images of a batch, in parts that stay in a core's cache."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

PART_FLOATS = 2**17  # at a time on a CPU: half of a second-level cache
GPU_PART_FLOATS = 2**28


def change(images: Tensor, indices: Tensor, work: Callable[[Tensor, slice], Tensor]) -> None:
    """Replace images[indices] by work(images[indices[which]], which), part by part, in place.

    `work` may change what it is given and return that.
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

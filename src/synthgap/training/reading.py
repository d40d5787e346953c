"""Read numbers from a GPU without waiting for what is queued behind them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Reading:
    """A copy that is under way; on a CPU it has arrived already."""

    copy: Tensor
    arrived: torch.cuda.Event | None

    @classmethod
    def of(cls, numbers: Tensor) -> Reading:
        """Queue the copy of `numbers` (n,): what is queued after it is not waited for."""
        if numbers.device.type != "cuda":
            return cls(numbers, None)
        copy = numbers.to("cpu", non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()
        return cls(copy, arrived)

    def values(self) -> list[float]:
        """Wait for the copy alone."""
        if self.arrived is not None:
            self.arrived.synchronize()
        found: list[float] = self.copy.tolist()
        return found

"""Read what a step gave: numbers from a GPU without waiting, hits, and whether a loss is one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from synthgap.errors import TrainingError


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


def hits(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """How many of (rows, num_classes) logits are right, and right among their first five."""
    right = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    return right[:, 0].sum(), right.sum()


@dataclass(frozen=True)
class Moment:
    """Where a training is."""

    epoch: int  # from 1
    step: int  # of the epoch, from 1
    rate: float  # learning rate
    progress: float  # share of all steps that are done, 0 up to (not including) 1

    def __str__(self) -> str:
        """As messages say it."""
        return f"epoch {self.epoch}, step {self.step}, learning rate {self.rate:g}"


def finite(loss: float, name: str, now: Moment) -> None:
    """Stop the training `name` where its loss is no number.

    Raises:
        TrainingError: it is not finite.
    """
    if not math.isfinite(loss):
        raise TrainingError(
            f"{name}: loss {loss} in {now}; expected a finite loss, lower training.base_lr and "
            "rerun"
        )

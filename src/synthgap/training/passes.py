"""One forward pass over the crops of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class CropPass(nn.Module):
    """A student over several sizes of crops: a module, so that DDP and torch.compile wrap it whole.

    One pass a size, so that batch norm sees each size alone (trex). With `global_crops`, passes
    after the first leave the running statistics alone: those are what scoring uses, and tiny local
    crops are mostly padding.
    """

    def __init__(
        self, student: nn.Module, running_stats: Literal["all_crops", "global_crops"]
    ) -> None:
        super().__init__()
        self.student = student
        self.running_stats = running_stats

    def forward(self, crops: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Logits (crops, num_classes) of all crops, and embeddings where the student has some."""
        passes = [self.student(crops[0])]
        with _keeping_statistics(self.student if self.running_stats == "global_crops" else None):
            passes += [self.student(part) for part in crops[1:]]
        if isinstance(passes[0], tuple):
            logits, embeddings = zip(*passes, strict=True)
            return torch.cat(logits), torch.cat(embeddings)
        return torch.cat(passes), None


@contextmanager
def _keeping_statistics(student: nn.Module | None) -> Iterator[None]:
    norms = [] if student is None else [m for m in student.modules() if isinstance(m, _BatchNorm)]
    momenta = [module.momentum for module in norms]
    for module in norms:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum

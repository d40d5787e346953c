"""Split a batch by domain: its real and its synthetic rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from synthgap.training.batch_loader import Batch

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class DomainRows:
    """This process's rows of one kind, of one part of a batch; at least one.

    `crops`: one tensor a size, (count * rows, 3, height, width), crop c of row i at c * rows + i,
    normalised; `crops[0]` are the global ones. `labels` (rows,), -1 where a method is given none;
    `indices` (rows,) into the train spec's images, on the CPU. `share`: these rows of all rows of
    their kind in the whole batch, of all parts and processes.
    """

    crops: list[Tensor]
    labels: Tensor
    indices: Tensor
    share: float


@dataclass(frozen=True)
class DomainBatch:
    """Both kinds of one part of a batch; None where it has none. `progress`: of the training."""

    real: DomainRows | None
    synthetic: DomainRows | None
    progress: float  # share of all steps that are done, 0 up to (not including) 1


def domain_batches(
    parts: Sequence[Batch], num_real: int, progress: float, accelerator: Accelerator
) -> list[DomainBatch]:
    """Take every part apart; images [0, num_real) of the train spec are real."""
    reals = [batch.indices < num_real for batch in parts]
    counts = torch.tensor(
        [sum(int(kind(real).sum()) for real in reals) for kind in (_same, torch.logical_not)]
    )
    if accelerator.num_processes > 1:
        counts = accelerator.reduce(counts.to(accelerator.device)).cpu()
    of_real, of_synthetic = counts.tolist()
    return [
        DomainBatch(
            _domain_rows(batch, real.nonzero().flatten(), of_real),
            _domain_rows(batch, (~real).nonzero().flatten(), of_synthetic),
            progress,
        )
        for batch, real in zip(parts, reals, strict=True)
    ]


def _same(mask: Tensor) -> Tensor:
    return mask


def _domain_rows(batch: Batch, rows: Tensor, of_all: int) -> DomainRows | None:
    if not len(rows):
        return None
    labels, total = batch.targets.labels, len(batch.indices)
    if len(rows) == total:
        return DomainRows(batch.crops, labels, batch.indices, total / of_all)
    chosen = rows.to(labels.device)
    crops = [
        crop.view(-1, total, *crop.shape[1:]).index_select(1, chosen).flatten(0, 1)
        for crop in batch.crops
    ]
    return DomainRows(crops, labels[chosen], batch.indices[rows], len(rows) / of_all)

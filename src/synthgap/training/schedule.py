"""Learning rate by iteration: linear warm-up, then cosine (MtG eq. 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from synthgap.params.sections import Training


@dataclass(frozen=True)
class Schedule:
    """Warm-up over `warmup_steps`, cosine over the remaining of `total_steps`."""

    peak_lr: float
    final_lr: float
    warmup_steps: int
    total_steps: int

    @classmethod
    def of(cls, training: Training, *, batch_size: int, steps_per_epoch: int) -> Schedule:
        """Scale the peak linearly by total batch: base_lr * batch_size / 256."""
        return cls(
            peak_lr=training.base_lr * batch_size / 256,
            final_lr=training.final_lr,
            warmup_steps=training.warmup_epochs * steps_per_epoch,
            total_steps=training.epochs * steps_per_epoch,
        )

    def learning_rate(self, step: int) -> float:
        """The rate of 0-based iteration `step`; warm-up begins at 0 and ends at the peak."""
        if step < self.warmup_steps:
            return self.peak_lr * step / max(self.warmup_steps - 1, 1)
        progress = (step - self.warmup_steps) / max(self.total_steps - self.warmup_steps, 1)
        swing = 0.5 * (1 + math.cos(math.pi * progress))
        return self.final_lr + (self.peak_lr - self.final_lr) * swing

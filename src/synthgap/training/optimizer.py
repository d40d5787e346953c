"""The optimiser of a student, and its learning rate by iteration (MtG eq. 4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from synthgap.params.sections import Training


@dataclass(frozen=True)
class LearningRateSchedule:
    """Warm-up over `warmup_steps`, then `shape` over the remaining of `total_steps`."""

    peak_lr: float
    final_lr: float
    warmup_steps: int
    total_steps: int
    shape: str = "cosine"

    @classmethod
    def of(
        cls, training: Training, *, batch_size: int, steps_per_epoch: int
    ) -> LearningRateSchedule:
        """Scale the peak by total batch, base_lr * batch_size / 256, or take it as it is."""
        scale = batch_size / 256 if training.lr_scaling == "batch" else 1.0
        return cls(
            peak_lr=training.base_lr * scale,
            final_lr=training.final_lr,
            warmup_steps=training.warmup_epochs * steps_per_epoch,
            total_steps=training.epochs * steps_per_epoch,
            shape=training.schedule,
        )

    def learning_rate(self, step: int) -> float:
        """The rate of 0-based iteration `step`; warm-up begins at 0 and ends at the peak."""
        if step < self.warmup_steps:
            return self.peak_lr * step / max(self.warmup_steps - 1, 1)
        progress = (step - self.warmup_steps) / max(self.total_steps - self.warmup_steps, 1)
        return self.final_lr + (self.peak_lr - self.final_lr) * DECAY_SHAPES[self.shape](progress)


DECAY_SHAPES: Mapping[str, Callable[[float], float]] = {
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
    "linear": lambda progress: 1 - progress,
    "constant": lambda progress: 1.0,  # noqa: ARG005 - a shape
}


FUSED_DEVICES = {"cpu", "cuda"}  # devices with one kernel a parameter


def build_optimizer(
    model: nn.Module, training: Training, device: torch.device
) -> torch.optim.Optimizer:
    """SGD with momentum, Adam or AdamW over what is not frozen.

    Weight decay is on parameters of more than one dimension alone (trex). Learning rates are set
    before every step.
    """
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in moving if p.ndim > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in moving if p.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = device.type in FUSED_DEVICES
    if training.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=training.momentum, fused=fused)
    kind = torch.optim.Adam if training.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=0.0, fused=fused)

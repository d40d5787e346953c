"""The optimiser of a student."""

from __future__ import annotations

import torch
from torch import nn

from synthgap.params.sections import Training

FUSED = {"cpu", "cuda"}  # devices with one kernel a parameter


def optimizer_of(
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
    fused = device.type in FUSED
    if training.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=training.momentum, fused=fused)
    kind = torch.optim.Adam if training.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=0.0, fused=fused)

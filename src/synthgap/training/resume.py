"""Keep a training's state between epochs, so that a killed run goes on with the same weights.

Randomness needs no state: every draw is named after seed and epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from synthgap.artifacts import write_state
from synthgap.training.scoring import Scores


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave: metrics by name, and the scores of each set that was scored."""

    number: int  # from 1
    metrics: dict[str, float]
    scores: dict[str, Scores]


@dataclass(frozen=True)
class Keeper:
    """Where and how often a run's state is kept."""

    path: Path
    every_epochs: int

    def save(self, model: nn.Module, optimizer: Optimizer, epochs: list[Epoch]) -> None:
        """Write the state whole or not at all."""
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "epochs": [_packed(epoch) for epoch in epochs],
        }
        write_state(self.path, state)

    def restore(self, model: nn.Module, optimizer: Optimizer) -> list[Epoch]:
        """Load what `save` wrote, if anything, and return the epochs that are done."""
        if not self.path.is_file():
            return []
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        return [_unpacked(epoch) for epoch in state["epochs"]]


def _packed(epoch: Epoch) -> dict[str, Any]:
    scores = {
        name: {
            **{key: getattr(score, key) for key in ("loss", "top1", "top5", "balanced")},
            "predictions": torch.from_numpy(score.predictions),
            "confidences": torch.from_numpy(score.confidences),
        }
        for name, score in epoch.scores.items()
    }
    return {"number": epoch.number, "metrics": epoch.metrics, "scores": scores}


def _unpacked(packed: dict[str, Any]) -> Epoch:
    scores = {
        name: Scores(
            loss=fields["loss"],
            top1=fields["top1"],
            top5=fields["top5"],
            balanced=fields["balanced"],
            predictions=fields["predictions"].numpy(),
            confidences=fields["confidences"].numpy(),
        )
        for name, fields in packed["scores"].items()
    }
    return Epoch(packed["number"], packed["metrics"], scores)

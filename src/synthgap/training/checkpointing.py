"""Checkpoints of a training, so that a killed run goes on with the same weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from synthgap.jobs import write_state
from synthgap.training.scoring import Scores

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave: metrics by name, and the scores of each set that was scored."""

    number: int  # from 1
    metrics: dict[str, float]
    scores: dict[str, Scores]


@dataclass
class EpochProgress:
    """Finished epochs, and how far the next one has come."""

    epochs: list[EpochResult] = field(default_factory=list)
    steps: int = 0  # of the epoch after them
    tally: Tensor | None = None  # its sums so far


@dataclass(frozen=True)
class TrainState:
    """What moves while a student learns."""

    model: nn.Module
    optimizer: Optimizer
    accelerator: Accelerator


@dataclass(frozen=True)
class Checkpointer:
    """Where and how often a run's state is kept: after epochs, and after steps inside one."""

    path: Path
    every_epochs: int
    every_steps: int | None = None

    def after_epoch(self, learning: TrainState, progress: EpochProgress) -> None:
        """Keep the state if this many epochs are done."""
        if len(progress.epochs) % self.every_epochs == 0:
            self.save(learning, progress)

    def due(self, step: int) -> bool:
        """Whether the state is kept after so many steps of an epoch."""
        return self.every_steps is not None and step % self.every_steps == 0

    def save(self, learning: TrainState, progress: EpochProgress) -> None:
        """Write the state whole or not at all; of several processes, the first one does."""
        if not learning.accelerator.is_main_process:
            return
        scaler = learning.accelerator.scaler
        state = {
            "model": learning.model.state_dict(),
            "optimizer": learning.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else {},
            "epochs": [_epoch_to_state(epoch) for epoch in progress.epochs],
            "steps": progress.steps,
            "tally": progress.tally,
        }
        write_state(self.path, state)

    def restore(self, learning: TrainState) -> EpochProgress:
        """Load what `save` wrote, if anything, and return how far it had come."""
        if not self.path.is_file():
            return EpochProgress()
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        learning.model.load_state_dict(state["model"])
        learning.optimizer.load_state_dict(state["optimizer"])
        if learning.accelerator.scaler is not None and state["scaler"]:
            learning.accelerator.scaler.load_state_dict(state["scaler"])
        epochs = [_epoch_from_state(epoch) for epoch in state["epochs"]]
        return EpochProgress(epochs, state["steps"], state["tally"])


def _epoch_to_state(epoch: EpochResult) -> dict[str, Any]:
    scores = {
        name: {
            **{key: getattr(score, key) for key in ("loss", "top1", "top5", "balanced")},
            "predictions": torch.from_numpy(score.predictions),
            "confidences": torch.from_numpy(score.confidences),
        }
        for name, score in epoch.scores.items()
    }
    return {"number": epoch.number, "metrics": epoch.metrics, "scores": scores}


def _epoch_from_state(packed: dict[str, Any]) -> EpochResult:
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
    return EpochResult(packed["number"], packed["metrics"], scores)

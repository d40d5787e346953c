"""The plain rule: one loss over all crops of a batch, backward, one step of the optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from synthgap.models.arrangement import arrange
from synthgap.training.lesson import Lesson
from synthgap.training.objective import objective
from synthgap.training.optimizer import optimizer_of
from synthgap.training.passes import CropPass
from synthgap.training.reading import Moment, Reading, finite, hits
from synthgap.training.resume import Learning
from synthgap.training.serving import Batch, Server

if TYPE_CHECKING:
    from accelerate import Accelerator


def descent(model: nn.Module, lesson: Lesson, accelerator: Accelerator) -> Descent:
    """Prepare model and optimiser for the accelerator's device, processes and precision."""
    arrange(model)
    passes: nn.Module = CropPass(model, lesson.training.running_stats)
    optimizer = moving = optimizer_of(model, lesson.training, accelerator.device)
    if any(parameter.requires_grad for parameter in model.parameters()):
        passes, moving = accelerator.prepare(passes, optimizer)
    else:
        passes.to(accelerator.device)
    learning = Learning(model, optimizer, accelerator)
    return Descent(lesson, learning, passes, moving, Server.of(model, lesson, accelerator))


@dataclass(frozen=True)
class Descent:
    """A `Rule` that follows the gradient of one loss."""

    lesson: Lesson
    learning: Learning
    passes: nn.Module  # the student over all crops, wrapped by accelerate
    moving: torch.optim.Optimizer  # the optimiser, wrapped by accelerate
    server: Server

    @property
    def learns(self) -> bool:
        """Whether anything is not frozen."""
        return any(group["params"] for group in self.learning.optimizer.param_groups)

    def train(self) -> None:
        """Put the student into the mode of training."""
        self.passes.train()

    def step(self, parts: Sequence[Batch], now: Moment) -> Tensor:
        """Sums of loss, hits at 1 and 5, and crops, float64 (4,).

        Raises:
            TrainingError: the loss is not finite; nothing has moved.
        """
        tally = torch.zeros(4, dtype=torch.float64)
        for number, batch in enumerate(parts, start=1):
            waits = self.learns and number < len(parts)  # gradients meet at the last part
            with self.learning.accelerator.no_sync(self.passes) if waits else nullcontext():
                tally += self._part(batch, 1 / len(parts), now)
        if self.learns:
            self.moving.step()
            self.moving.zero_grad()
        return tally

    def ended(self) -> None:
        """Do nothing: what accelerate wraps is in step by itself."""

    def _part(self, batch: Batch, share: float, now: Moment) -> Tensor:
        """Forward and backward of a `share` of a step; the loss is judged before anything moves."""
        accelerator = self.learning.accelerator
        with accelerator.autocast():
            logits, embeddings = self.server.forward(self.passes, batch)
        logits = logits.float()
        loss = objective(logits, embeddings, batch.answer, self.lesson.training)
        right = hits(logits.detach(), batch.answer.tiled(len(logits)).labels)
        mean = accelerator.reduce(loss.detach(), reduction="mean")
        reading = Reading.of(torch.stack([mean, *right]))
        if self.learns:
            accelerator.backward(loss * share)  # queued first: a GPU has work while we wait
        value, right1, right5 = reading.values()
        finite(value, self.lesson.name, now)
        return torch.tensor([value * share, right1, right5, len(logits)], dtype=torch.float64)

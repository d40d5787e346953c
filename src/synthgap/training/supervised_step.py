"""The supervised train step: one loss over all crops of a batch, backward, one optimiser step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from synthgap.models.memory_layout import optimise_layout
from synthgap.training.batch_loader import Batch, BatchLoader
from synthgap.training.checkpointing import TrainState
from synthgap.training.epoch_runner import AsyncMetrics, StepInfo, check_finite, topk_hits
from synthgap.training.losses import supervised_loss
from synthgap.training.optimizer import build_optimizer
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator


class MultiCropForward(nn.Module):
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
        with _frozen_running_stats(self.student if self.running_stats == "global_crops" else None):
            passes += [self.student(part) for part in crops[1:]]
        if isinstance(passes[0], tuple):
            logits, embeddings = zip(*passes, strict=True)
            return torch.cat(logits), torch.cat(embeddings)
        return torch.cat(passes), None


@contextmanager
def _frozen_running_stats(student: nn.Module | None) -> Iterator[None]:
    norms = [] if student is None else [m for m in student.modules() if isinstance(m, _BatchNorm)]
    momenta = [module.momentum for module in norms]
    for module in norms:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum


def supervised_step(
    model: nn.Module, train_spec: TrainSpec, accelerator: Accelerator
) -> SupervisedStep:
    """Prepare model and optimiser for the accelerator's device, processes and precision."""
    optimise_layout(model)
    passes: nn.Module = MultiCropForward(model, train_spec.training.running_stats)
    optimizer = moving = build_optimizer(model, train_spec.training, accelerator.device)
    if any(parameter.requires_grad for parameter in model.parameters()):
        passes, moving = accelerator.prepare(passes, optimizer)
    else:
        passes.to(accelerator.device)
    learning = TrainState(model, optimizer, accelerator)
    return SupervisedStep(
        train_spec, learning, passes, moving, BatchLoader.of(model, train_spec, accelerator)
    )


@dataclass(frozen=True)
class SupervisedStep:
    """A `TrainStep` that follows the gradient of one loss."""

    train_spec: TrainSpec
    learning: TrainState
    passes: nn.Module  # the student over all crops, wrapped by accelerate
    moving: torch.optim.Optimizer  # the optimiser, wrapped by accelerate
    loader: BatchLoader

    @property
    def learns(self) -> bool:
        """Whether anything is not frozen."""
        return any(group["params"] for group in self.learning.optimizer.param_groups)

    def train(self) -> None:
        """Put the student into the mode of training."""
        self.passes.train()

    def step(self, parts: Sequence[Batch], now: StepInfo) -> Tensor:
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

    def _part(self, batch: Batch, share: float, now: StepInfo) -> Tensor:
        """Forward and backward of a `share` of a step; the loss is judged before anything moves."""
        accelerator = self.learning.accelerator
        with accelerator.autocast():
            logits, embeddings = self.loader.forward(self.passes, batch)
        logits = logits.float()
        loss = supervised_loss(logits, embeddings, batch.targets, self.train_spec.training)
        right = topk_hits(logits.detach(), batch.targets.tiled(len(logits)).labels)
        mean = accelerator.reduce(loss.detach(), reduction="mean")
        reading = AsyncMetrics.of(torch.stack([mean, *right]))
        if self.learns:
            accelerator.backward(loss * share)  # queued first: a GPU has work while we wait
        value, right1, right5 = reading.values()
        check_finite(value, self.train_spec.name, now)
        return torch.tensor([value * share, right1, right5, len(logits)], dtype=torch.float64)

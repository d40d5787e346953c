"""Run one epoch: batches are loaded, a train step updates the student, metrics are summed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from synthgap.errors import TrainingError
from synthgap.seeding import derived_seed
from synthgap.training.batch_loader import Batch, BatchLoader
from synthgap.training.checkpointing import Checkpointer, EpochProgress, TrainState
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class AsyncMetrics:
    """A copy that is under way; on a CPU it has arrived already."""

    copy: Tensor
    arrived: torch.cuda.Event | None

    @classmethod
    def of(cls, numbers: Tensor) -> AsyncMetrics:
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


def topk_hits(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """How many of (rows, num_classes) logits are right, and right among their first five."""
    right = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    return right[:, 0].sum(), right.sum()


@dataclass(frozen=True)
class StepInfo:
    """Where a training is."""

    epoch: int  # from 1
    step: int  # of the epoch, from 1
    rate: float  # learning rate
    progress: float  # share of all steps that are done, 0 up to (not including) 1

    def __str__(self) -> str:
        """As messages say it."""
        return f"epoch {self.epoch}, step {self.step}, learning rate {self.rate:g}"


def check_finite(loss: float, name: str, now: StepInfo) -> None:
    """Stop the training `name` where its loss is no number.

    Raises:
        TrainingError: it is not finite.
    """
    if not math.isfinite(loss):
        raise TrainingError(
            f"{name}: loss {loss} in {now}; expected a finite loss, lower training.base_lr and "
            "rerun"
        )


OUT_OF_MEMORY_MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")


class TrainStep(Protocol):
    """How one step is made of a batch."""

    @property
    def learning(self) -> TrainState:
        """All that moves, and all that is kept of it when a training is killed."""

    @property
    def loader(self) -> BatchLoader:
        """Where its batches come from."""

    def train(self) -> None:
        """Put everything into the mode of training."""

    def step(self, parts: Sequence[Batch], now: StepInfo) -> Tensor:
        """Move once, by all parts of a batch; learning rates are set.

        Returns float64 (4,): the loss, hits at 1 and at 5, and the crops they were counted on, of
        this process.

        Raises:
            TrainingError: the loss is not finite; nothing has moved.
        """

    def ended(self) -> None:
        """An epoch is over and its student will be scored."""


TrainStepFactory = Callable[[nn.Module, TrainSpec, "Accelerator"], TrainStep]


@dataclass(frozen=True)
class EpochRunner:
    """Runs the epochs of a train spec by a train step, in one process or as one of several."""

    train_spec: TrainSpec
    train_step: TrainStep

    def epoch(
        self, number: int, progress: EpochProgress, checkpointer: Checkpointer | None
    ) -> dict[str, float]:
        """Learn epoch `number`, from where `progress` says, and return its metrics."""
        train_spec, learning = self.train_spec, self.train_step.learning
        accelerator = learning.accelerator
        tally = torch.zeros(4, dtype=torch.float64)
        if progress.tally is not None and accelerator.is_main_process:
            tally += progress.tally
        self.train_step.train()
        rate = train_spec.schedule.learning_rate((number - 1) * train_spec.num_steps)
        with _forked_rng(accelerator.device), self._room():
            for step, parts in self.train_step.loader.steps(number, after=progress.steps):
                index = (number - 1) * train_spec.num_steps + step - 1
                rate = train_spec.schedule.learning_rate(index)
                for group in learning.optimizer.param_groups:
                    group["lr"] = rate * group.get("factor", 1.0)
                _seed_dropout(
                    derived_seed(train_spec.seed, "dropout", index, accelerator.process_index),
                    accelerator.device,
                )
                share = index / (train_spec.num_steps * train_spec.training.epochs)
                tally += self.train_step.step(parts, StepInfo(number, step, rate, share))
                if checkpointer and checkpointer.due(step) and step < train_spec.num_steps:
                    checkpointer.save(
                        learning, EpochProgress(progress.epochs, step, self._sum(tally))
                    )
        self.train_step.ended()
        total, right, right5, crops = self._sum(tally).tolist()
        return {
            "learning_rate": rate,
            "train/loss": total / (train_spec.num_steps * accelerator.num_processes),
            "train/top1": 100 * right / crops,
            "train/top5": 100 * right5 / crops,
        }

    def _sum(self, tally: Tensor) -> Tensor:
        """Over all processes."""
        accelerator = self.train_step.learning.accelerator
        summed: Tensor = accelerator.reduce(tally.to(accelerator.device, copy=True))
        return summed.cpu()

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, MemoryError) as error:  # torch's out-of-memory is a RuntimeError
            if isinstance(error, RuntimeError) and not any(
                word in str(error).lower() for word in OUT_OF_MEMORY_MESSAGES
            ):
                raise
            training, device = self.train_spec.training, self.train_step.learning.accelerator.device
            raise TrainingError(
                f"{self.train_spec.name}: out of memory on {device} with "
                f"batches of {self.train_spec.batch_size} in {training.accumulate} part(s), "
                f"{training.global_crops.count} x {training.global_crops.size} px + "
                f"{training.local_crops.count} x {training.local_crops.size} px; raise "
                "training.accumulate, or lower training.batch_size, local_crops.count or the "
                "crops' sizes, and rerun: finished epochs are kept"
            ) from error


@contextmanager
def _forked_rng(device: torch.device) -> Iterator[None]:
    """Let dropout draw from seeds of ours, and give the global state back."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _seed_dropout(seed: int, device: torch.device) -> None:
    """Seed what dropout draws from; `torch.manual_seed` formats a whole traceback beside."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)

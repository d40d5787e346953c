"""One epoch of steps: crops, forward, loss, backward, optimiser."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn

from synthgap.errors import TrainingError
from synthgap.models.arrangement import arrange
from synthgap.seeding import derived_seed
from synthgap.training.lesson import Lesson
from synthgap.training.objective import objective
from synthgap.training.optimizer import optimizer_of
from synthgap.training.passes import CropPass
from synthgap.training.reading import Reading
from synthgap.training.resume import Keeper, Learning, Progress
from synthgap.training.serving import Batch, Server

if TYPE_CHECKING:
    from accelerate import Accelerator

NO_ROOM = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True)
class Learner:
    """A student that learns a lesson, in one process or as one of several."""

    lesson: Lesson
    learning: Learning
    passes: nn.Module  # the student over all crops, wrapped by accelerate
    moving: torch.optim.Optimizer  # the optimiser, wrapped by accelerate
    server: Server

    @property
    def learns(self) -> bool:
        """Whether anything is not frozen."""
        return any(group["params"] for group in self.learning.optimizer.param_groups)

    @classmethod
    def of(cls, model: nn.Module, lesson: Lesson, accelerator: Accelerator) -> Self:
        """Prepare model and optimiser for the accelerator's device, processes and precision."""
        arrange(model)
        passes: nn.Module = CropPass(model, lesson.training.running_stats)
        optimizer = moving = optimizer_of(model, lesson.training, accelerator.device)
        if any(parameter.requires_grad for parameter in model.parameters()):
            passes, moving = accelerator.prepare(passes, optimizer)
        else:
            passes.to(accelerator.device)
        learning = Learning(model, optimizer, accelerator)
        return cls(lesson, learning, passes, moving, Server.of(model, lesson, accelerator))

    def epoch(self, number: int, progress: Progress, keeper: Keeper | None) -> dict[str, float]:
        """Learn epoch `number`, from where `progress` says, and return its metrics."""
        lesson, accelerator = self.lesson, self.learning.accelerator
        tally = torch.zeros(4, dtype=torch.float64)
        if progress.tally is not None and accelerator.is_main_process:
            tally += progress.tally
        self.passes.train()
        rate = lesson.schedule.learning_rate((number - 1) * lesson.num_steps)
        with _own_randomness(accelerator.device), self._room():
            for step, parts in self.server.steps(number, after=progress.steps):
                index = (number - 1) * lesson.num_steps + step - 1
                rate = lesson.schedule.learning_rate(index)
                _seed(
                    derived_seed(lesson.seed, "dropout", index, accelerator.process_index),
                    accelerator.device,
                )
                tally += self._step(parts, rate, f"epoch {number}, step {step}")
                if keeper and keeper.due(step) and step < lesson.num_steps:
                    keeper.save(self.learning, Progress(progress.epochs, step, self._sum(tally)))
        total, right, right5, seen = self._sum(tally).tolist()
        return {
            "learning_rate": rate,
            "train/loss": total / (lesson.num_steps * accelerator.num_processes),
            "train/top1": 100 * right / seen,
            "train/top5": 100 * right5 / seen,
        }

    def _step(self, parts: list[Batch], rate: float, place: str) -> Tensor:
        """One step of the optimiser: sums of loss, hits at 1 and 5, and crops, float64 (4,)."""
        for group in self.learning.optimizer.param_groups:
            group["lr"] = rate
        tally = torch.zeros(4, dtype=torch.float64)
        for number, batch in enumerate(parts, start=1):
            waits = self.learns and number < len(parts)  # gradients meet at the last part
            with self.learning.accelerator.no_sync(self.passes) if waits else nullcontext():
                tally += self._part(batch, 1 / len(parts), f"{place}, learning rate {rate:g}")
        if self.learns:
            self.moving.step()
            self.moving.zero_grad()
        return tally

    def _part(self, batch: Batch, share: float, place: str) -> Tensor:
        """Forward and backward of a `share` of a step; the loss is judged before anything moves."""
        accelerator = self.learning.accelerator
        with accelerator.autocast():
            logits, embeddings = self.server.forward(self.passes, batch)
        logits = logits.float()
        loss = objective(logits, embeddings, batch.answer, self.lesson.training)
        hits = _hits(logits.detach(), batch.answer.tiled(len(logits)).labels)
        mean = accelerator.reduce(loss.detach(), reduction="mean")
        reading = Reading.of(torch.stack([mean, *hits]))
        if self.learns:
            accelerator.backward(loss * share)  # queued first: a GPU has work while we wait
        value, right, right5 = reading.values()
        if not math.isfinite(value):
            raise TrainingError(
                f"{self.lesson.name}: loss {value} in {place}; expected a finite loss, lower "
                "training.base_lr and rerun"
            )
        return torch.tensor([value * share, right, right5, len(logits)], dtype=torch.float64)

    def _sum(self, tally: Tensor) -> Tensor:
        """Over all processes."""
        accelerator = self.learning.accelerator
        summed: Tensor = accelerator.reduce(tally.to(accelerator.device, copy=True))
        return summed.cpu()

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, MemoryError) as error:  # torch's out-of-memory is a RuntimeError
            if isinstance(error, RuntimeError) and not any(
                word in str(error).lower() for word in NO_ROOM
            ):
                raise
            training = self.lesson.training
            raise TrainingError(
                f"{self.lesson.name}: out of memory on {self.learning.accelerator.device} with "
                f"batches of {self.lesson.batch_size} in {training.accumulate} part(s), "
                f"{training.global_crops.count} x {training.global_crops.size} px + "
                f"{training.local_crops.count} x {training.local_crops.size} px; raise "
                "training.accumulate, or lower training.batch_size, local_crops.count or the "
                "crops' sizes, and rerun: finished epochs are kept"
            ) from error


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Let dropout draw from seeds of ours, and give the global state back."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _seed(seed: int, device: torch.device) -> None:
    """Seed what dropout draws from; `torch.manual_seed` formats a whole traceback beside."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _hits(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """How many are right, and right among the first five."""
    right = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    return right[:, 0].sum(), right.sum()

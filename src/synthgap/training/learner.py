"""One epoch of steps: images are served, a rule moves the student, sums are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from synthgap.errors import TrainingError
from synthgap.seeding import derived_seed
from synthgap.training.lesson import Lesson
from synthgap.training.reading import Moment
from synthgap.training.resume import Keeper, Learning, Progress
from synthgap.training.serving import Batch, Server

if TYPE_CHECKING:
    from accelerate import Accelerator

NO_ROOM = ("out of memory", "can't allocate memory", "not enough memory")


class Rule(Protocol):
    """How one step is made of a batch."""

    @property
    def learning(self) -> Learning:
        """All that moves, and all that is kept of it when a training is killed."""

    @property
    def server(self) -> Server:
        """Where its batches come from."""

    def train(self) -> None:
        """Put everything into the mode of training."""

    def step(self, parts: Sequence[Batch], now: Moment) -> Tensor:
        """Move once, by all parts of a batch; learning rates are set.

        Returns float64 (4,): the loss, hits at 1 and at 5, and the crops they were counted on, of
        this process.

        Raises:
            TrainingError: the loss is not finite; nothing has moved.
        """

    def ended(self) -> None:
        """An epoch is over and its student will be looked at."""


RuleMaker = Callable[[nn.Module, Lesson, "Accelerator"], Rule]


@dataclass(frozen=True)
class Learner:
    """A student that learns a lesson by a rule, in one process or as one of several."""

    lesson: Lesson
    rule: Rule

    def epoch(self, number: int, progress: Progress, keeper: Keeper | None) -> dict[str, float]:
        """Learn epoch `number`, from where `progress` says, and return its metrics."""
        lesson, learning = self.lesson, self.rule.learning
        accelerator = learning.accelerator
        tally = torch.zeros(4, dtype=torch.float64)
        if progress.tally is not None and accelerator.is_main_process:
            tally += progress.tally
        self.rule.train()
        rate = lesson.schedule.learning_rate((number - 1) * lesson.num_steps)
        with _own_randomness(accelerator.device), self._room():
            for step, parts in self.rule.server.steps(number, after=progress.steps):
                index = (number - 1) * lesson.num_steps + step - 1
                rate = lesson.schedule.learning_rate(index)
                for group in learning.optimizer.param_groups:
                    group["lr"] = rate * group.get("factor", 1.0)
                _seed(
                    derived_seed(lesson.seed, "dropout", index, accelerator.process_index),
                    accelerator.device,
                )
                share = index / (lesson.num_steps * lesson.training.epochs)
                tally += self.rule.step(parts, Moment(number, step, rate, share))
                if keeper and keeper.due(step) and step < lesson.num_steps:
                    keeper.save(learning, Progress(progress.epochs, step, self._sum(tally)))
        self.rule.ended()
        total, right, right5, seen = self._sum(tally).tolist()
        return {
            "learning_rate": rate,
            "train/loss": total / (lesson.num_steps * accelerator.num_processes),
            "train/top1": 100 * right / seen,
            "train/top5": 100 * right5 / seen,
        }

    def _sum(self, tally: Tensor) -> Tensor:
        """Over all processes."""
        accelerator = self.rule.learning.accelerator
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
            training, device = self.lesson.training, self.rule.learning.accelerator.device
            raise TrainingError(
                f"{self.lesson.name}: out of memory on {device} with "
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

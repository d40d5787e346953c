"""The loop: one screen, yields after every epoch; callers log, keep and stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import nn

from synthgap.training.descent import descent
from synthgap.training.learner import Learner, RuleMaker
from synthgap.training.lesson import Lesson
from synthgap.training.resume import Epoch, Keeper, Progress
from synthgap.training.scoring import prepared, score

if TYPE_CHECKING:
    from accelerate import Accelerator


def fit(
    model: nn.Module,
    lesson: Lesson,
    accelerator: Accelerator,
    keeper: Keeper | None = None,
    *,
    rule: RuleMaker = descent,
) -> Iterator[Epoch]:
    """Train `model` in place and yield every epoch, replaying those a killed run had finished.

    Weight decay is on parameters of more than one dimension alone (trex); every crop has equal
    weight in the loss; frozen parameters take no part. Several processes see what one would see.
    `rule` says how a step is made of a batch; it may bring networks of its own.

    Raises:
        TrainingError: the loss is not finite, and the optimiser has not moved on it; or the
            memory does not suffice.
    """
    learner = Learner(lesson, rule(model, lesson, accelerator))
    learning = learner.rule.learning
    progress = keeper.restore(learning) if keeper else Progress()
    yield from progress.epochs
    scored = prepared(model, lesson, accelerator.device)
    for number in range(len(progress.epochs) + 1, lesson.training.epochs + 1):
        metrics = learner.epoch(number, progress, keeper)
        scores = {name: score(given, lesson, accelerator) for name, given in scored.items()}
        for name, found in scores.items():
            metrics |= found.metrics(name)
        epoch = Epoch(number, metrics, scores)
        progress = Progress([*progress.epochs, epoch])
        if keeper:
            keeper.after_epoch(learning, progress)
        yield epoch

"""The loop: one screen, yields after every epoch; callers log, keep and stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import nn

from synthgap.training.checkpointing import Checkpointer, EpochProgress, EpochResult
from synthgap.training.epoch_runner import EpochRunner, TrainStepFactory
from synthgap.training.scoring import prepare_images, score
from synthgap.training.supervised_step import supervised_step
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator


def fit(
    model: nn.Module,
    train_spec: TrainSpec,
    accelerator: Accelerator,
    checkpointer: Checkpointer | None = None,
    *,
    train_step: TrainStepFactory = supervised_step,
) -> Iterator[EpochResult]:
    """Train `model` in place and yield every epoch, replaying those a killed run had finished.

    Weight decay is on parameters of more than one dimension alone (trex); every crop has equal
    weight in the loss; frozen parameters take no part. Several processes see what one would see.
    `train_step` says how a step is made of a batch; it may bring networks of its own.

    Raises:
        TrainingError: the loss is not finite, and the optimiser has not moved on it; or the
            memory does not suffice.
    """
    runner = EpochRunner(train_spec, train_step(model, train_spec, accelerator))
    learning = runner.train_step.learning
    progress = checkpointer.restore(learning) if checkpointer else EpochProgress()
    yield from progress.epochs
    scored = prepare_images(model, train_spec, accelerator.device)
    for number in range(len(progress.epochs) + 1, train_spec.training.epochs + 1):
        metrics = runner.epoch(number, progress, checkpointer)
        scores = {name: score(given, train_spec, accelerator) for name, given in scored.items()}
        for name, found in scores.items():
            metrics |= found.metrics(name)
        epoch = EpochResult(number, metrics, scores)
        progress = EpochProgress([*progress.epochs, epoch])
        if checkpointer:
            checkpointer.after_epoch(learning, progress)
        yield epoch


@dataclass(frozen=True)
class Phase:
    """One training: what is learned, and by which train step."""

    train_spec: TrainSpec
    train_step: TrainStepFactory = supervised_step


def fit_phases(
    model: nn.Module,
    phases: Sequence[Phase],
    accelerator: Accelerator,
    checkpointer_of: Callable[[int], Checkpointer | None],
) -> Iterator[EpochResult]:
    """Train `model` in place through all phases; epochs are numbered through.

    `keeper_of` says where each phase, by number from 0, keeps its state.

    Raises:
        TrainingError: as `fit`.
    """
    done = 0
    for number, phase in enumerate(phases):
        checkpointer = checkpointer_of(number)
        for epoch in fit(
            model, phase.train_spec, accelerator, checkpointer, train_step=phase.train_step
        ):
            yield replace(epoch, number=done + epoch.number)
        done += phase.train_spec.training.epochs

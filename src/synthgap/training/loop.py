"""The loop: one screen, yields after every epoch; callers log, keep and stop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.errors import TrainingError
from synthgap.params.sections import Training
from synthgap.seeding import torch_stream
from synthgap.training.augmentation import augment
from synthgap.training.labelled import Labelled, Normalisation, batches
from synthgap.training.resume import Epoch, Keeper
from synthgap.training.schedule import Schedule
from synthgap.training.scoring import score

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Lesson:
    """What a student learns: the images, how, in which order, and on what it is scored.

    `scored` maps split names to real sets. `steps_per_epoch` defaults to one pass over the images.
    """

    name: str
    images: Labelled
    training: Training
    seed: int
    scored: Mapping[str, Labelled]
    steps_per_epoch: int | None = None

    @property
    def batch_size(self) -> int:
        """The configured batch, or all images where there are fewer."""
        return min(self.training.batch_size, len(self.images))

    @property
    def num_steps(self) -> int:
        """Optimiser steps of one epoch."""
        return self.steps_per_epoch or len(self.images) // self.batch_size

    @property
    def schedule(self) -> Schedule:
        """The learning rate of every step."""
        return Schedule.of(
            self.training, batch_size=self.batch_size, steps_per_epoch=self.num_steps
        )

    @property
    def normalisation(self) -> Normalisation:
        """Statistics used for every image, in training and in scoring."""
        if self.training.normalise == "train_set":
            return Normalisation.measured(self.images)
        return Normalisation.imagenet()


def fit(
    model: nn.Module, lesson: Lesson, accelerator: Accelerator, keeper: Keeper | None = None
) -> Iterator[Epoch]:
    """Train `model` in place and yield every epoch, replaying those a killed run had finished.

    SGD with weight decay on parameters of more than one dimension (trex); cross-entropy over all
    crops with equal weight; frozen parameters take no part.

    Raises:
        TrainingError: the loss is not finite; the optimiser has not moved on it.
    """
    optimizer = _optimizer(model, lesson.training)
    done = keeper.restore(model, optimizer) if keeper else []
    yield from done
    learner, moving = accelerator.prepare(model, optimizer)
    images = lesson.images.to(accelerator.device)
    scored = {name: labelled.to(accelerator.device) for name, labelled in lesson.scored.items()}
    normalise, size_px = lesson.normalisation, lesson.training.global_crops.size
    for number in range(len(done) + 1, lesson.training.epochs + 1):
        metrics = _learn(learner, moving, accelerator, _Pass(lesson, images, normalise, number))
        scores = {
            name: score(learner, labelled, normalise=normalise, size_px=size_px)
            for name, labelled in scored.items()
        }
        for name, scored_split in scores.items():
            metrics |= scored_split.metrics(name)
        epoch = Epoch(number, metrics, scores)
        done.append(epoch)
        if keeper and number % keeper.every_epochs == 0:
            keeper.save(model, optimizer, done)
        yield epoch


@dataclass(frozen=True)
class _Pass:
    lesson: Lesson
    images: Labelled
    normalise: Normalisation
    number: int

    def steps(self) -> Iterator[tuple[float, list[Tensor], Tensor]]:
        """Yield (learning rate, crops of each size, labels tiled over the crops) of every step."""
        lesson = self.lesson
        draw = torch_stream(lesson.seed, "augment", self.number)
        order = batches(
            len(self.images),
            lesson.batch_size,
            num_steps=lesson.num_steps,
            seed=lesson.seed,
            epoch=self.number,
        )
        schedule = lesson.schedule
        first = (self.number - 1) * lesson.num_steps
        for step, indices in enumerate(order, start=first):
            chosen = indices.to(self.images.images.device)
            pictures = self.images.images[chosen].float().div(255)
            crops = [self.normalise(part) for part in augment(pictures, lesson.training, draw)]
            labels = self.images.labels[chosen]
            tiled = torch.cat([labels.repeat(len(part) // len(labels)) for part in crops])
            yield schedule.learning_rate(step), crops, tiled


def _learn(
    model: nn.Module, optimizer: torch.optim.Optimizer, accelerator: Accelerator, once: _Pass
) -> dict[str, float]:
    model.train()
    total, right, right5, seen, rate = 0.0, 0, 0, 0, 0.0
    for step, (rate, crops, labels) in enumerate(once.steps(), start=1):
        for group in optimizer.param_groups:
            group["lr"] = rate
        with accelerator.autocast():
            logits = forward(model, crops, once.lesson.training)
            loss = functional.cross_entropy(logits.float(), labels)
        value = loss.item()
        if not torch.isfinite(loss):
            raise TrainingError(
                f"{once.lesson.name}: loss {value} in epoch {once.number}, step {step}, learning "
                f"rate {rate:g}; expected a finite loss, lower training.base_lr and rerun"
            )
        if loss.requires_grad:
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
        hits = logits.detach().topk(min(5, logits.shape[1])).indices == labels[:, None]
        total += value
        right, right5 = right + int(hits[:, 0].sum()), right5 + int(hits.sum())
        seen += len(labels)
    return {
        "learning_rate": rate,
        "train/loss": total / once.lesson.num_steps,
        "train/top1": 100 * right / seen,
        "train/top5": 100 * right5 / seen,
    }


def forward(model: nn.Module, crops: list[Tensor], training: Training) -> Tensor:
    """Logits of all crops, one pass a size, so that batch norm sees each size alone (trex).

    With `running_stats: global_crops`, the later passes leave the running statistics alone: those
    are what scoring uses, and tiny local crops are mostly padding.
    """
    logits = [model(crops[0])]
    momenta = {
        module: module.momentum
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    }
    if training.running_stats == "global_crops":
        for module in momenta:
            module.momentum = 0.0
    logits += [model(part) for part in crops[1:]]
    for module, momentum in momenta.items():
        module.momentum = momentum
    return torch.cat(logits)


def _optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in moving if p.ndim > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in moving if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=0.0, momentum=training.momentum)

"""The methods that are an ordinary training, or two: what all others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from synthgap.guidance.task import Task
from synthgap.training.phases import Phase


def real(task: Task) -> Sequence[Phase]:
    """The real images alone."""
    return [Phase(task.only_real())]


def synthetic(task: Task) -> Sequence[Phase]:
    """The synthetic images alone."""
    return [Phase(task.only_synthetic())]


def pooled(task: Task) -> Sequence[Phase]:
    """Synthetic images as an augmentation of the real ones: one pool of both."""
    return [Phase(task.pooled())]


def balanced(task: Task) -> Sequence[Phase]:
    """Pooling with `guide.real_share` of every step real: what RG and PG see, learned plainly."""
    return [Phase(task.both())]


def adaptation(task: Task) -> Sequence[Phase]:
    """Synthetic images first, then the real ones alone (PG/RG: 150 and 50 epochs of 200)."""
    guide = task.guide
    first, second = task.split(task.only_synthetic(), task.only_real(), guide.adaptation_share)
    gently = replace(second.training, base_lr=guide.adaptation_rate * second.training.base_lr)
    return [Phase(first), Phase(replace(second, training=gently))]

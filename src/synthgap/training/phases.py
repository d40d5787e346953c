"""Trainings of one student, one after the other, as one sequence of epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import nn

from synthgap.training.descent import descent
from synthgap.training.learner import RuleMaker
from synthgap.training.lesson import Lesson
from synthgap.training.loop import fit
from synthgap.training.resume import Epoch, Keeper

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Phase:
    """One training: what is learned, and by which rule."""

    lesson: Lesson
    rule: RuleMaker = descent


def fit_phases(
    model: nn.Module,
    phases: Sequence[Phase],
    accelerator: Accelerator,
    keeper_of: Callable[[int], Keeper | None],
) -> Iterator[Epoch]:
    """Train `model` in place through all phases; epochs are numbered through.

    `keeper_of` says where each phase, by number from 0, keeps its state.

    Raises:
        TrainingError: as `fit`.
    """
    done = 0
    for number, phase in enumerate(phases):
        keeper = keeper_of(number)
        for epoch in fit(model, phase.lesson, accelerator, keeper, rule=phase.rule):
            yield replace(epoch, number=done + epoch.number)
        done += phase.lesson.training.epochs

"""What a study is made of before its first trial, and what a trial reports while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from synthgap.jobs import content_digest
from synthgap.params.overriding import overridden, value_at
from synthgap.params.reading import section_dict
from synthgap.params.sections import Params, Study
from synthgap.params.spaces import READ

SHARED = ("recipe", "seed", "data", "prompts", *READ)
"""What of params.yaml determines a trial besides its own values."""


@dataclass(frozen=True)
class StudyPlan:
    """One study: its section, and the params that every trial's values are put over.

    `inputs` are digests of what trials read, by path.
    """

    name: str
    study: Study
    base: Params
    inputs: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def default(self) -> dict[str, Any]:
        """What stands at every key of the space without tuning."""
        return {key: value_at(self.base, key) for key in self.study.space}

    def settings(self, values: Mapping[str, object]) -> Params:
        """The params of a trial.

        Raises:
            ParamsError: the values contradict each other.
        """
        return overridden(self.base, values, place=f"study {self.name}")

    @cached_property
    def content(self) -> dict[str, Any]:
        """All that determines the study's trials, as plain JSON; kept with it."""
        everything = section_dict(self.base)
        return {
            "name": self.name,
            "study": section_dict(self.study),
            "base": {name: everything[name] for name in SHARED},
            "inputs": dict(sorted(self.inputs.items())),
        }

    @property
    def digest(self) -> str:
        """Hex sha256 of `content`."""
        return content_digest(self.content)


@dataclass(frozen=True)
class AttemptReport:
    """What one epoch of an attempt gave.

    `num_steps` are the optimiser steps of this attempt so far. The last reading of an attempt has
    every metric that the study measures, and `facts` for the record: image_set, num_images,
    num_synthetic, real_labels {generator, reference, student}.
    """

    epoch: int  # from 1
    num_steps: int
    metrics: Mapping[str, float]
    facts: Mapping[str, Any] = field(default_factory=dict)


class Attempt(Protocol):
    """Train one student as a trial's values say, on a share of its synthetic set."""

    def __call__(
        self, values: Mapping[str, object], *, seed: int, share: float
    ) -> Iterator[AttemptReport]:
        """Yield after every epoch; closing the iterator stops the training.

        Raises:
            ParamsError: the values contradict each other.
            TrainingError: the loss is not finite.
            SynthgapError: something that the next trial would meet too.
        """

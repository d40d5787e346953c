"""Early units from synthetic images, late ones from real ones: transfer within one budget.

"Mind the Gap Between Synthetic and Real" (MtG), section 3: a donor learns from synthetic images,
its first units are frozen, and the rest is learned anew on the real images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from synthgap.errors import ParamsError
from synthgap.guidance.method_context import MethodContext
from synthgap.models.frozen_prefix import freeze, prefix_names
from synthgap.models.units import units_of
from synthgap.seeding import derived_seed
from synthgap.training.batch_loader import Batch, BatchLoader
from synthgap.training.checkpointing import TrainState
from synthgap.training.epoch_runner import StepInfo
from synthgap.training.loop import Phase
from synthgap.training.supervised_step import SupervisedStep, supervised_step
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator


def prefix(method_context: MethodContext) -> Sequence[Phase]:
    """Synthetic images first, then units from `depth` on anew, on the real ones, at full rate.

    Raises:
        ParamsError: no unit would be left to learn.
    """
    params, units = method_context.guide.prefix, len(units_of(method_context.student))
    if params.depth >= units:
        raise ParamsError(
            f"params.yaml, guide.prefix.depth: {params.depth}, but the student has {units} units; "
            f"expected 1 to {units - 1}, so that one learns from real images"
        )
    share = params.adaptation_share
    first, second = method_context.split(
        method_context.only_synthetic(), method_context.only_real(), share
    )
    return [
        Phase(first),
        Phase(second, partial(prefix_step, depth=params.depth, fresh=method_context.fresh)),
    ]


def prefix_step(
    model: nn.Module,
    train_spec: TrainSpec,
    accelerator: Accelerator,
    *,
    depth: int,
    fresh: Callable[[int], nn.Module],
) -> PrefixStep:
    """The plain rule over frozen units [0, depth); the others begin with weights from `fresh`.

    They are made here, when the phase begins, and not when it is planned; a state that was kept
    later replaces them.
    """
    _reinitialise(model, fresh(derived_seed(train_spec.seed, "prefix")), depth)
    free = type(model)
    freeze(model, depth, frozen_bn_stats=train_spec.training.frozen_bn_stats)
    held = _PrefixFreezer(model, free, type(model), tuple(_frozen(model)))
    return PrefixStep(supervised_step(model, train_spec, accelerator), held)


@dataclass(frozen=True)
class PrefixStep:
    """A `Rule`: plain steps while the prefix is frozen; between epochs the student is as it was."""

    plain: SupervisedStep
    held: _PrefixFreezer

    @property
    def learning(self) -> TrainState:
        """All that moves."""
        return self.plain.learning

    @property
    def loader(self) -> BatchLoader:
        """Where its batches come from."""
        return self.plain.loader

    def train(self) -> None:
        """Freeze the prefix, statistics too, and put the rest into the mode of training."""
        self.held.freeze()
        self.plain.train()

    def step(self, parts: Sequence[Batch], now: StepInfo) -> Tensor:
        """Take a plain step.

        Returns the loss, a scalar.

        Raises:
            TrainingError: the loss is not finite; nothing has moved.
        """
        return self.plain.step(parts, now)

    def ended(self) -> None:
        """Give the student back as it came."""
        self.plain.ended()
        self.held.thaw()


@dataclass(frozen=True)
class _PrefixFreezer:
    model: nn.Module
    free: type[nn.Module]
    frozen: type[nn.Module]  # the class that keeps the prefix in eval mode
    parameters: tuple[nn.Parameter, ...]

    def freeze(self) -> None:
        self.model.__class__ = self.frozen
        self._learn(wanted=False)

    def thaw(self) -> None:
        self.model.__class__ = self.free
        self._learn(wanted=True)

    def _learn(self, *, wanted: bool) -> None:
        for parameter in self.parameters:
            parameter.requires_grad = wanted


def _frozen(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if not parameter.requires_grad]


def _reinitialise(model: nn.Module, fresh: nn.Module, depth: int) -> None:
    """Take every entry of units from `depth` on over from `fresh`."""
    kept, given = set(prefix_names(model, depth)), fresh.state_dict()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name not in kept:
                value.copy_(given[name])

"""Put a donor's first units into a fresh student and freeze them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Self

import torch
from torch import Tensor, nn

from synthgap.errors import CheckpointError
from synthgap.models.units import units_of, whole_modules

if TYPE_CHECKING:
    _Base = nn.Module
else:
    _Base = object


class FrozenPrefix(_Base):
    """Mixed into a model's class by `freeze`, so that `train()` leaves the prefix in eval mode."""

    frozen_modules: tuple[str, ...]

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's own signature
        """Switch the mode of everything but the frozen modules."""
        super().train(mode)
        for name in self.frozen_modules:
            self.get_submodule(name).eval()  # else batch norm keeps absorbing the target data
        return self


def prefix_names(model: nn.Module, depth: int) -> list[str]:
    """State-dict entries of units [0, depth), in order.

    Raises:
        CheckpointError: the model has fewer units.
    """
    units = units_of(model)
    if not 0 <= depth <= len(units):
        raise CheckpointError(
            f"depth {depth}: expected 0 to {len(units)}, the units of {type(model).__name__}; "
            "correct grid.depths in params.yaml"
        )
    return [name for unit in units[:depth] for name in (*unit.parameters, *unit.buffers)]


def load_frozen_prefix(
    model: nn.Module,
    donor: Mapping[str, Tensor],
    depth: int,
    *,
    frozen_bn_stats: Literal["eval", "update"] = "eval",
) -> nn.Module:
    """Copy units [0, depth) of `donor` into `model` and freeze them; the rest stays as it is.

    With `eval`, frozen weights, batch-norm statistics and dropout of the prefix stay put bit for
    bit; with `update`, batch norm goes on absorbing statistics (MtG leaves open which was meant).

    Raises:
        CheckpointError: the donor lacks an entry of the prefix or has it in another shape.
    """
    copy_prefix(model, donor, depth)
    freeze(model, depth, frozen_bn_stats=frozen_bn_stats)
    return model


def copy_prefix(model: nn.Module, donor: Mapping[str, Tensor], depth: int) -> None:
    """Copy units [0, depth) of `donor` into `model` without freezing them."""
    state = model.state_dict()
    with torch.no_grad():
        for name in prefix_names(model, depth):
            if name not in donor or donor[name].shape != state[name].shape:
                found = tuple(donor[name].shape) if name in donor else "nothing"
                raise CheckpointError(
                    f"donor entry {name!r}: {found}, expected {tuple(state[name].shape)}; "
                    "use a donor of the same student"
                )
            state[name].copy_(donor[name])


def freeze(
    model: nn.Module, depth: int, *, frozen_bn_stats: Literal["eval", "update"] = "eval"
) -> None:
    """Freeze units [0, depth) in place; `isinstance(model, <its timm class>)` stays true."""
    frozen = set(prefix_names(model, depth))
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad = False
    if frozen_bn_stats == "update":
        return
    modules = tuple(whole_modules(model, frozen))
    if modules:
        kind = type(model)
        model.__class__ = type(kind.__name__, (FrozenPrefix, kind), {"frozen_modules": modules})
        model.train(model.training)

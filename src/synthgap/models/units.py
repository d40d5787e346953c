"""Cut a network into the ordered units that a depth counts, and what each of them costs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from synthgap.errors import ParamsError
from synthgap.models.build import TIMM_ERRORS


@dataclass(frozen=True)
class Unit:
    """One part: entries of the state dict it owns, in the model's order."""

    name: str
    parameters: tuple[str, ...]
    buffers: tuple[str, ...]


def units_of(model: nn.Module) -> tuple[Unit, ...]:
    """The model's units from stem to classifier; every parameter and buffer is in exactly one.

    Raises:
        ParamsError: timm does not know how to cut this model.
    """
    bases = [base.__name__ for base in type(model).__mro__]
    groups = next((OVERRIDES[name] for name in bases if name in OVERRIDES), _matched)(model)
    owner = {name.rpartition(".")[0]: index for index, names in enumerate(groups) for name in names}
    buffers: list[list[str]] = [[] for _ in groups]
    for name in _buffer_names(model):
        buffers[_owner_of(name, owner)].append(name)
    return tuple(
        Unit(name=title, parameters=tuple(names), buffers=tuple(owned))
        for title, names, owned in zip(_titles(groups), groups, buffers, strict=True)
    )


def num_parameters(model: nn.Module, unit: Unit) -> int:
    """Number of scalars among the unit's parameters."""
    return sum(model.get_parameter(name).numel() for name in unit.parameters)


def whole_modules(model: nn.Module, entries: Collection[str], prefix: str = "") -> Iterator[str]:
    """Names of the largest modules with a forward of their own whose state is all in `entries`."""
    for name, child in model.named_children():
        full = f"{prefix}{name}"
        owned = [f"{full}.{inner}" for inner in child.state_dict()]
        callable_itself = not isinstance(child, nn.ModuleList | nn.ModuleDict)
        if owned and callable_itself and all(entry in entries for entry in owned):
            yield full
        else:
            yield from whole_modules(child, entries, f"{full}.")


def _matched(model: nn.Module) -> list[list[str]]:
    from timm.models import group_parameters

    matcher: Callable[..., Any] | None = getattr(model, "group_matcher", None)
    if matcher is None:
        raise ParamsError(
            f"params.yaml, student.model: timm cannot cut {type(model).__name__} into units; "
            "expected a model with a group_matcher, e.g. a ResNet, ViT, ConvNeXt or EfficientNet"
        )
    groups = group_parameters(model, matcher(coarse=False))
    return [list(groups[index]) for index in sorted(groups)]


def _tiny_vit(model: nn.Module) -> list[list[str]]:
    starts = ["patch_embed"]
    for index, stage in enumerate(model.get_submodule("stages").children()):
        if any(name == "downsample" for name, _ in stage.named_children()):
            starts.append(f"stages.{index}.downsample")
        blocks = stage.get_submodule("blocks").children()
        starts += [f"stages.{index}.blocks.{block}" for block, _ in enumerate(blocks)]
    starts += ["head.norm", "head.fc"]
    names = [name for name, _ in model.named_parameters()]
    groups = [[name for name in names if name.startswith(f"{start}.")] for start in starts]
    return [group for group in groups if group]


OVERRIDES: dict[str, Callable[[nn.Module], list[list[str]]]] = {"TinyVit": _tiny_vit}


def _buffer_names(model: nn.Module) -> Iterable[str]:
    parameters = {name for name, _ in model.named_parameters()}
    return [name for name in model.state_dict() if name not in parameters]


def _owner_of(buffer: str, owner: dict[str, int]) -> int:
    module = buffer.rpartition(".")[0]
    while module not in owner and module:
        module = module.rpartition(".")[0]
    if module in owner:
        return owner[module]
    inside = [index for name, index in owner.items() if name.startswith(buffer.split(".")[0])]
    return min(inside, default=0)


def _titles(groups: list[list[str]]) -> list[str]:
    """What a unit's modules share, or their names where that is nothing or another's title too."""
    modules = [[name.rpartition(".")[0] or name for name in names] for names in groups]
    shared = [_shared(unit) for unit in modules]
    return [
        title if title and shared.count(title) == 1 else _joined(unit, title)
        for title, unit in zip(shared, modules, strict=True)
    ]


def _joined(modules: list[str], shared: str) -> str:
    """The parts below `shared`, in order, e.g. `blocks.11+norm`."""
    depth = len(shared.split(".")) if shared else 0
    parts: dict[str, list[str]] = {}
    for module in modules:
        parts.setdefault(".".join(module.split(".")[: depth + 1]), []).append(module)
    return "+".join(_shared(inside) for inside in parts.values())


def _shared(modules: list[str]) -> str:
    paths = [module.split(".") for module in modules]
    columns = zip(*paths, strict=False)  # as far as the shortest path goes
    same = takewhile(lambda column: len(set(column)) == 1, columns)
    return ".".join(column[0] for column in same)


def unit_flops(model: nn.Module, size_px: int) -> tuple[int, ...]:
    """Floating-point operations of each unit for one image of `size_px`, in eval mode.

    Counted are convolutions, matrix products and attention, a multiply-add as two, as PyTorch's
    counter does. A model on the device `meta` is counted without computing anything.

    Raises:
        ParamsError: the model takes no images of that size.
    """
    units = units_of(model)
    counts = [0] * len(units)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        with ExitStack() as stack:
            counter = FlopCounterMode(display=False)
            for index, unit in enumerate(units):
                for name in whole_modules(model, {*unit.parameters, *unit.buffers}):
                    module = model.get_submodule(name)
                    stack.enter_context(_counting_flops(module, counter, counts, index))
            stack.enter_context(torch.no_grad())
            stack.enter_context(counter)
            model(torch.zeros(1, 3, size_px, size_px, device=device))
    except TIMM_ERRORS as error:
        reason = " ".join(str(error).split())
        raise ParamsError(
            f"{type(model).__name__}: takes no images of {size_px} px ({reason:.160}); choose a "
            "size that its stem and strides leave something of"
        ) from error
    finally:
        model.train(was_training)
    return tuple(counts)


@contextmanager
def _counting_flops(
    module: nn.Module, counter: FlopCounterMode, counts: list[int], index: int
) -> Iterator[None]:
    """Add what the module's calls cost to `counts[index]`."""
    before = 0

    def enter(*_: object) -> None:
        nonlocal before
        before = counter.get_total_flops()

    def leave(*_: object) -> None:
        counts[index] += counter.get_total_flops() - before

    handles = [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

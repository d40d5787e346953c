"""Cut a network into units: ordered, non-overlapping parts that a depth counts.

timm's fine group matcher is the rule (for ResNet-50 it gives the 18 units of MtG); TinyViT has a
table of its own, since timm merges its downsamplings and final norm with their neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from torch import nn

from synthgap.errors import ParamsError


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

"""What chosen units of a network give during a pass, with graph, before anything pools it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from synthgap.errors import ParamsError
from synthgap.models.units import Unit, units_of, whole_modules


class UnitMaps:
    """Keeps maps (rows, places, channels) of some units during the first pass in `watching`."""

    def __init__(self, network: nn.Module, units: Sequence[int], *, place: str) -> None:
        """Find the modules of the last of the first n units, for every n of `units`.

        Raises:
            ParamsError: the network has no such unit before its classifier.
        """
        every = units_of(network)
        wrong = [count for count in units if not 1 <= count < len(every)]
        if wrong:
            raise ParamsError(
                f"{place}: {wrong}, expected 1 to {len(every) - 1}: {type(network).__name__} has "
                f"{len(every)} units, the last one its classifier"
            )
        self.network, self.units = network, tuple(units)
        self.modules = [
            [network.get_submodule(name) for name in whole_modules(network, _entries(every[n - 1]))]
            for n in self.units
        ]

    @contextmanager
    def watching(self) -> Iterator[list[Tensor]]:
        """Yield a list that has one entry a unit once the network has made a pass."""
        latest: dict[int, Tensor] = {}
        found: list[Tensor] = []

        def ended(_module: nn.Module, _arguments: tuple[Any, ...], _output: object) -> None:
            if not found:
                found.extend(as_places(latest[index]) for index in range(len(self.units)))

        handles = [
            module.register_forward_hook(_keeper(latest, index))
            for index, modules in enumerate(self.modules)
            for module in modules
        ]
        handles.append(self.network.register_forward_hook(ended))
        try:
            yield found
        finally:
            for handle in handles:
                handle.remove()


def as_places(features: Tensor) -> Tensor:
    """Maps of square images, tokens or vectors as (rows, places, channels).

    Maps are (rows, channels, side, side), or (rows, side, side, channels) as between the blocks of
    TinyViT and Swin: the sides are what is equal.
    """
    if features.ndim == 4:
        last = features.shape[1] == features.shape[2] != features.shape[3]
        return features.flatten(1, 2) if last else features.flatten(2).transpose(1, 2)
    return features if features.ndim == 3 else features[:, None]


def _keeper(latest: dict[int, Tensor], index: int) -> Callable[..., None]:
    def keep(_module: nn.Module, _arguments: tuple[Any, ...], output: Tensor) -> None:
        latest[index] = output.clone()  # what follows may work in place

    return keep


def _entries(unit: Unit) -> set[str]:
    return {*unit.parameters, *unit.buffers}

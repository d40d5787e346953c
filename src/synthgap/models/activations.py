"""What stands between a student's units and before its classifier: features and unit maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from synthgap.errors import ParamsError
from synthgap.models.head import classifier_name
from synthgap.models.units import Unit, units_of, whole_modules


@torch.no_grad()
def unit_activations(model: nn.Module, images: Tensor) -> list[Tensor]:
    """What stands after every unit, (batch, ...) each, in eval mode and without a graph.

    After unit i stands what unit i + 1 receives, so pooling or reshaping between two units is in;
    after the last stand the logits. `images` (batch, 3, height, width) are normalised.
    """
    received: dict[int, Tensor] = {}
    handles = []
    for index, unit in enumerate(units_of(model)[1:]):
        for name in whole_modules(model, {*unit.parameters, *unit.buffers}):
            hook = _input_hook(received, index)
            handles.append(model.get_submodule(name).register_forward_pre_hook(hook))
    was_training = model.training
    model.eval()
    try:
        logits: Tensor = model(images)
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return [*(received[index] for index in sorted(received)), logits]


def penultimate_features(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """(features (batch, dim) that the classifier receives, logits), in the model's present mode."""
    received: dict[int, Tensor] = {}
    classifier = model.get_submodule(classifier_name(model))
    handle = classifier.register_forward_pre_hook(_input_hook(received, 0))
    try:
        logits: Tensor = model(images)
    finally:
        handle.remove()
    return received[0], logits


def tapped_module(model: nn.Module, units: int | None) -> nn.Module:
    """The module that receives what stands after `units` units; None: before the classifier.

    Raises:
        ParamsError: there are not that many units before the classifier.
    """
    if units is None:
        return model.get_submodule(classifier_name(model))
    every = units_of(model)
    if not 1 <= units < len(every):
        raise ParamsError(
            f"a tap after {units} units: {type(model).__name__} has {len(every)}, the last one its "
            f"classifier; expected 1 to {len(every) - 1}, or null (before the classifier)"
        )
    after = every[units]
    first = next(whole_modules(model, {*after.parameters, *after.buffers}))
    return model.get_submodule(first)


def feature_size(model: nn.Module) -> int:
    """How many features the classifier receives."""
    count = model.get_submodule(classifier_name(model)).in_features
    assert isinstance(count, int)
    return count


def _input_hook(received: dict[int, Tensor], index: int) -> Any:  # noqa: ANN401 - torch's hook type
    def keep(_module: nn.Module, arguments: tuple[Any, ...]) -> None:
        if index in received:  # a unit may be several modules: the first has its input
            return
        given = arguments[0]
        if isinstance(given, list | tuple):  # of all earlier layers, as in a DenseNet
            received[index] = torch.cat([part.flatten(1) for part in given], dim=1)
        else:
            received[index] = given.clone()  # what follows may work in place

    return keep


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
                found.extend(flatten_positions(latest[index]) for index in range(len(self.units)))

        handles = [
            module.register_forward_hook(_output_hook(latest, index))
            for index, modules in enumerate(self.modules)
            for module in modules
        ]
        handles.append(self.network.register_forward_hook(ended))
        try:
            yield found
        finally:
            for handle in handles:
                handle.remove()


def flatten_positions(features: Tensor) -> Tensor:
    """Maps of square images, tokens or vectors as (rows, places, channels).

    Maps are (rows, channels, side, side), or (rows, side, side, channels) as between the blocks of
    TinyViT and Swin: the sides are what is equal.
    """
    if features.ndim == 4:
        last = features.shape[1] == features.shape[2] != features.shape[3]
        return features.flatten(1, 2) if last else features.flatten(2).transpose(1, 2)
    return features if features.ndim == 3 else features[:, None]


def _output_hook(latest: dict[int, Tensor], index: int) -> Callable[..., None]:
    def keep(_module: nn.Module, _arguments: tuple[Any, ...], output: Tensor) -> None:
        latest[index] = output.clone()  # what follows may work in place

    return keep


def _entries(unit: Unit) -> set[str]:
    return {*unit.parameters, *unit.buffers}

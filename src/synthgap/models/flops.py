"""What a forward pass costs, unit by unit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from synthgap.errors import ParamsError
from synthgap.models.build import REFUSALS
from synthgap.models.units import units_of, whole_modules


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
                    stack.enter_context(_adding(module, counter, counts, index))
            stack.enter_context(torch.no_grad())
            stack.enter_context(counter)
            model(torch.zeros(1, 3, size_px, size_px, device=device))
    except REFUSALS as error:
        said = " ".join(str(error).split())
        raise ParamsError(
            f"{type(model).__name__}: takes no images of {size_px} px ({said:.160}); choose a size "
            "that its stem and strides leave something of"
        ) from error
    finally:
        model.train(was_training)
    return tuple(counts)


@contextmanager
def _adding(
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

"""Where a job computes: torch's threads, the device, the precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from synthgap.errors import ParamsError
from synthgap.params.sections import Runtime

if TYPE_CHECKING:
    from accelerate import Accelerator


def device_of(runtime: Runtime) -> torch.device:
    """The device that `runtime.device` means on this machine: the CPU, or the current GPU.

    Raises:
        ParamsError: it says cuda and there is none.
    """
    found = torch.cuda.is_available()
    if runtime.device == "cuda" and not found:
        raise ParamsError(
            "params.yaml, runtime.device: cuda, but torch sees no GPU here; expected auto or cpu"
        )
    return torch.device("cuda" if found and runtime.device != "cpu" else "cpu")


def device_name(device: torch.device) -> str:
    """What computes, for records: `cpu` or the GPU's model."""
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


def accelerator_for(runtime: Runtime) -> Accelerator:
    """Accelerate's view of the device and precision."""
    from accelerate import Accelerator

    precision = {"fp32": "no"}.get(runtime.precision, runtime.precision)
    return Accelerator(cpu=device_of(runtime).type == "cpu", mixed_precision=precision)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Compute with so many threads: their number changes the last bits of results."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Initialise networks from `seed`; torch's own random state is as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield

"""The processes of one training: the first holds the work and writes, all compute."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgap.errors import ParamsError
from synthgap.jobs import Work, hold
from synthgap.jobs.launching import is_launched, is_main
from synthgap.params.sections import Runtime

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import nn


def accelerator_of(runtime: Runtime) -> Accelerator:
    """Where and how precisely a training computes, alone or as one of several processes.

    Raises:
        ParamsError: a GPU that is not there, fp16 or synchronised batch norm on a CPU, or fewer
            processes than were asked
    """
    from accelerate import Accelerator

    from synthgap.jobs.device import device_of

    on_cpu = device_of(runtime).type == "cpu"
    if on_cpu and runtime.precision == "fp16":
        raise ParamsError(
            "params.yaml, runtime.precision: fp16, but this is a CPU; expected fp32 or bf16"
        )
    accelerator = Accelerator(
        cpu=on_cpu,
        mixed_precision={"fp32": "no"}.get(runtime.precision, runtime.precision),
        dynamo_backend="inductor" if runtime.compile else "no",
    )
    if is_launched() and accelerator.num_processes != runtime.processes:
        raise ParamsError(
            f"runtime.processes: {runtime.processes}, but accelerate started "
            f"{accelerator.num_processes}; unset its own environment variables and rerun"
        )
    if runtime.sync_batch_norm and on_cpu:
        raise ParamsError(
            "params.yaml, runtime.sync_batch_norm: true, but this is a CPU; expected GPUs, set it "
            "to false (a network with group norm, or frozen batch norm, needs none)"
        )
    return accelerator


def split_batch_norm(model: nn.Module, runtime: Runtime, rows: int) -> nn.Module:
    """Join batch norm over processes, or say that each process sees its own rows only.

    Returns the model, converted in place of its batch norms where asked.
    """
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    if runtime.processes == 1:
        return model
    model.train()
    moving = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training]
    if runtime.sync_batch_norm:
        convert: Callable[[nn.Module], nn.Module] = torch.nn.SyncBatchNorm.convert_sync_batchnorm
        return convert(model)
    if moving and is_main():
        sys.stdout.write(
            f"synthgap: batch norm sees the {rows} images of its own process, not the batch of "
            f"{rows * runtime.processes}; runtime.sync_batch_norm joins them on GPUs\n"
        )
        sys.stdout.flush()
    return model


@contextmanager
def hold_distributed(
    root: Path, identity: Mapping[str, Any], output: Path, *, stage: str
) -> Iterator[Work]:
    """Hold the work of a cell; of several processes, the first one holds it for all.

    Raises:
        WorkError: another command still holds it after an hour.
    """
    if not is_launched():
        with hold(root, identity, output, stage=stage) as work:
            yield work
        return
    from accelerate.utils import broadcast_object_list

    if is_main():
        with hold(root, identity, output, stage=stage) as work:
            broadcast_object_list([str(work.folder), work.digest])
            yield work
        return
    folder, digest = broadcast_object_list(["", ""])
    yield Work(Path(folder), output, digest, identity)


def wait_for_all() -> None:
    """Wait for the other processes of a training, if there are any."""
    if is_launched():
        from accelerate.utils import wait_for_everyone

        wait_for_everyone()

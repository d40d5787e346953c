"""Several processes for one stage: `accelerate launch` starts it again in each."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from synthgap.params.sections import Runtime

ERROR_FILE = "SYNTHGAP_TOLD"  # names the file for the one line that a failing process leaves
BY_HAND = "TORCHELASTIC_RUN_ID"  # set by `accelerate launch` and torchrun in what they start


def is_launched() -> bool:
    """Whether this is one of several processes, started by `launch` or by hand (over nodes)."""
    return ERROR_FILE in os.environ or BY_HAND in os.environ


def is_main() -> bool:
    """Whether this process is alone, or the first of several."""
    return not is_launched() or os.environ.get("RANK", "0") == "0"


def own_gpu(count: int) -> int:
    """Which of this machine's `count` GPUs this process computes on."""
    return int(os.environ.get("LOCAL_RANK", "0")) % count if is_launched() else 0


def launch(command: Sequence[str], runtime: Runtime) -> int:
    """Run `python <command>` in `runtime.processes` processes and return their exit code.

    They compute on the CPU (gloo) or a GPU each; all end when one fails or this process dies.
    The message of a failure that a process has put into words is printed; of any other, all
    of stderr.
    """
    environ = {**os.environ, "OMP_NUM_THREADS": str(runtime.threads), "PYTHONUNBUFFERED": "1"}
    if not _on_gpus(runtime):
        environ["ACCELERATE_USE_CPU"] = "true"  # with --cpu, accelerate would start one process
    with tempfile.TemporaryDirectory(prefix="synthgap-") as folder:
        message, noise = Path(folder) / "told", Path(folder) / "stderr"
        environ[ERROR_FILE] = str(message)
        with noise.open("wb") as stderr:
            code = subprocess.run(  # noqa: S603 - our own command
                [*_launcher(runtime), *command],
                check=False,
                env=environ,
                stderr=stderr,
                preexec_fn=die_with_parent,
            ).returncode
        if code:
            sys.stderr.write((message if message.is_file() else noise).read_text(errors="replace"))
        return min(abs(code), 1)


def write_stderr(line: str) -> None:
    """Say one line on stderr; of several processes the first to fail says it, through `launch`."""
    if ERROR_FILE not in os.environ:
        sys.stderr.write(line)
        return
    try:
        with Path(os.environ[ERROR_FILE]).open("x") as file:
            file.write(line)
    except FileExistsError:
        return


def die_with_parent() -> None:
    """Ask Linux to end this process with its parent, so that kill -9 leaves no orphan."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _launcher(runtime: Runtime) -> list[str]:
    options = {
        "--num_processes": runtime.processes,
        "--num_machines": 1,
        "--mixed_precision": "no",  # the stage's own Accelerator is told the precision
        "--dynamo_backend": "no",
        "--main_process_ip": "127.0.0.1",
        "--main_process_port": 0,
    }
    flat = [str(part) for option in options.items() for part in option]
    return [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", *flat]


def _on_gpus(runtime: Runtime) -> bool:
    import torch

    return runtime.device != "cpu" and torch.cuda.is_available()

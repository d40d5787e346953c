"""Make the runs of a cell, several at a time, each in a forked process with its own threads.

Forked, because importing torch and timm costs seconds and a fork costs none; the parent computes
nothing, so that its children start with fresh thread pools.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkProcess
from pathlib import Path

from synthgap.errors import SynthgapError, TrainingError

USER_ERROR, CRASH = 3, 4
Task = Callable[[], None]


def run_all(tasks: Sequence[Task], *, workers: int, complaints: Path) -> None:
    """Run every task, `workers` at a time; with one worker, in this process.

    Tasks leave their results on disk; a failed one stops the others. `complaints` is a folder for
    the messages of failed children.

    Raises:
        SynthgapError: what a task raised, by its message.
        TrainingError: a process died, e.g. killed for memory.
    """
    if workers == 1:
        for task in tasks:
            task()
        return
    fork = multiprocessing.get_context("fork")
    waiting = list(enumerate(tasks))
    running: dict[int, ForkProcess] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                index, task = waiting.pop(0)
                process = fork.Process(target=_child, args=(task, complaints / f"{index}.txt"))
                process.start()
                running[index] = process
            multiprocessing.connection.wait([process.sentinel for process in running.values()])
            for index in [key for key, process in running.items() if not process.is_alive()]:
                process = running.pop(index)
                process.join()
                _check(process, complaints / f"{index}.txt")
    finally:
        for process in running.values():
            process.kill()
            process.join()


def _child(task: Task, complaint: Path) -> None:
    _die_with_parent()
    try:
        task()
    except SynthgapError as error:
        complaint.parent.mkdir(parents=True, exist_ok=True)
        complaint.write_text(str(error), encoding="utf-8")
        os._exit(USER_ERROR)
    except BaseException:  # noqa: BLE001 - a bug of ours: shown whole, then the parent reports it
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(CRASH)


def _check(process: ForkProcess, complaint: Path) -> None:
    if process.exitcode == 0:
        return
    if process.exitcode == USER_ERROR:
        raise SynthgapError(complaint.read_text(encoding="utf-8"))
    raise TrainingError(
        f"a run's process {process.pid} ended with {process.exitcode}; expected 0: if it was "
        "killed for memory, lower runtime.workers or training.batch_size; finished epochs are "
        "kept, rerun to go on"
    )


def _die_with_parent() -> None:
    if sys.platform == "linux":  # PR_SET_PDEATHSIG, so that kill -9 of the stage leaves no orphan
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)

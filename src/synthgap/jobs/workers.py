"""Run tasks several at a time, each in a forked process with its own threads.

Forked, because importing torch and timm costs seconds and a fork costs none; the parent computes
nothing, so that its children start with fresh thread pools.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess

from synthgap.errors import SynthgapError, TrainingError
from synthgap.jobs.launching import die_with_parent

REPORTED, CRASH = 3, 4
Task = Callable[[], None]


def run_all(tasks: Sequence[Task], *, workers: int) -> None:
    """Run every task, `workers` at a time; with one worker, in this process.

    Tasks leave their results on disk; a failed one stops the others.

    Raises:
        SynthgapError: what a task raised, by its message.
        OSError: what the system refused a task, e.g. room on the disk.
        TrainingError: a process died, e.g. killed for memory.
    """
    if workers == 1:
        for task in tasks:
            task()
        return
    fork = multiprocessing.get_context("fork")
    waiting = list(tasks)
    running: list[tuple[ForkProcess, Connection]] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                receiver, sender = fork.Pipe(duplex=False)
                process = fork.Process(target=_child, args=(waiting.pop(0), sender))
                process.start()
                sender.close()
                running.append((process, receiver))
            multiprocessing.connection.wait([process.sentinel for process, _ in running])
            ended = [pair for pair in running if not pair[0].is_alive()]
            running = [pair for pair in running if pair not in ended]
            for process, receiver in ended:
                process.join()
                with receiver:
                    _check(process, receiver)
    finally:
        for process, receiver in running:
            process.kill()
            process.join()
            receiver.close()


def _child(task: Task, sender: Connection) -> None:
    die_with_parent()
    try:
        task()
    except SynthgapError as error:
        sender.send(SynthgapError(str(error)))
        os._exit(REPORTED)
    except OSError as error:  # through the pipe, not a file: the disk may be what is full
        sender.send(OSError(error.errno, error.strerror, error.filename))
        os._exit(REPORTED)
    except BaseException:  # noqa: BLE001 - a bug of ours: shown whole, then the parent reports it
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(CRASH)


def _check(process: ForkProcess, receiver: Connection) -> None:
    if process.exitcode == 0:
        return
    if process.exitcode == REPORTED:
        raise receiver.recv()
    raise TrainingError(
        f"a run's process {process.pid} ended with {process.exitcode}; expected 0: if it was "
        "killed for memory, lower runtime.workers or the batch size; finished work is kept, rerun "
        "to go on"
    )

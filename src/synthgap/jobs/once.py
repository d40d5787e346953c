"""The frame of a job that makes one folder: hold, skip what is finished, make, record, publish."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from synthgap.jobs.distributed import hold_distributed, wait_for_all
from synthgap.jobs.launching import is_main
from synthgap.jobs.paths import Artifacts
from synthgap.jobs.writing import publish, write_json

FINISHED = "finished"  # in the work folder: what becomes the output
RUN = "run.json"
Make = Callable[[Path, Path], Mapping[str, Any] | None]


def make_once(  # noqa: PLR0913 - what is made, by whom, and how
    artifacts: Artifacts,
    identity: Mapping[str, Any],
    output: Path,
    make: Make,
    *,
    stage: str,
    threads: int | None = None,
    beside: Mapping[str, Path] | None = None,
) -> None:
    """Make `output`, unless it already holds exactly this.

    `make(folder, finished)` works in `folder`, where a killed process has left its checkpoints,
    writes into the new folder `finished`, and returns what run.json says (None: there is none).
    Of several processes of one training all call it, and the first one alone writes.

    `beside` are further outputs, by the name of the folder within `folder` where `make` leaves
    them; they are published first. `threads` are torch's while it works.

    Raises:
        WorkError: another process is still making it.
    """
    beside = beside or {}
    with (
        hold_distributed(artifacts.work, identity, output, stage=stage) as work,
        _computing(threads),
    ):
        if work.finished and all(path.is_dir() for path in beside.values()):
            return
        finished = work.folder / FINISHED
        if is_main():
            shutil.rmtree(finished, ignore_errors=True)  # what a killed save has left
        content = make(work.folder, finished)
        if is_main():
            if content is not None:
                write_json(finished / RUN, content)
            for name, path in beside.items():
                publish(work.folder / name, path)
            work.publish(finished)
        wait_for_all()


def _computing(threads: int | None) -> AbstractContextManager[object]:
    if threads is None:
        return nullcontext()
    from synthgap.jobs.device import torch_threads

    return torch_threads(threads)

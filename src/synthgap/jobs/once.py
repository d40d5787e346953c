"""The frame of a job that makes one folder: hold, skip what is finished, make, record, publish."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from synthgap.jobs.paths import Artifacts
from synthgap.jobs.work import hold
from synthgap.jobs.writing import write_json

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
) -> None:
    """Make `output`, unless it already holds exactly this.

    `make(folder, finished)` works in `folder`, where a killed process has left its checkpoints,
    writes into the new folder `finished`, and returns what run.json says (None: there is none).
    `threads` are torch's while it works.

    Raises:
        WorkError: another process is still making it.
    """
    with hold(artifacts.work, identity, output, stage=stage) as work, _computing(threads):
        if work.finished:
            return
        finished = work.folder / FINISHED
        shutil.rmtree(finished, ignore_errors=True)  # what a killed save has left
        content = make(work.folder, finished)
        if content is not None:
            write_json(finished / RUN, content)
        work.publish(finished)


def _computing(threads: int | None) -> Any:  # noqa: ANN401 - either context
    if threads is None:
        return nullcontext()
    from synthgap.jobs.device import torch_threads

    return torch_threads(threads)

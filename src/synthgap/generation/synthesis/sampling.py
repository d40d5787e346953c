"""One set sampled by any number of processes, on one machine or many, and put together by one."""

from __future__ import annotations

import fcntl
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from synthgap.errors import WorkError
from synthgap.generation.synthesis.assembling import ManifestFacts, assemble
from synthgap.generation.synthesis.rounds import ReopenedError, planned
from synthgap.generation.synthesis.sampling_workers import (
    KnownCandidates,
    SamplingWorker,
    log_stream,
)
from synthgap.generation.synthesis.set_in_progress import SamplingTools, SetInProgress
from synthgap.jobs.launching import is_launched, own_gpu
from synthgap.jobs.progress import log_line
from synthgap.jobs.workers import run_all
from synthgap.params.sections import Runtime

ATTEMPTS = 3  # to put a set together


@dataclass(frozen=True)
class SamplingJob:
    """All that the processes need that sample a set: `making` it in a folder, with `tools`.

    At most `workers` are forked on a CPU, each with `threads` of torch: more than 1 only where this
    process has not computed with threads before, since OpenMP does not survive a fork. `pipeline`
    is the folder of the generator, or of samples, if one of these makes them.
    """

    runtime: Runtime
    workers: int
    threads: int
    pipeline: Path | None
    making: Callable[[Path], SetInProgress]
    tools: Callable[[], SamplingTools]
    facts: ManifestFacts


def sample_set(
    job: SamplingJob,
    folder: Path,
    place: Callable[[Path], object],
    known: KnownCandidates | None = None,
) -> None:
    """Sample in `folder`, put the set together and `place` it; again where an image is damaged.

    Candidates that are `known` are not sampled again.

    Raises:
        SynthgapError: too much is dropped, or images are damaged again and again.
    """
    for _ in range(ATTEMPTS):
        sample = functools.partial(_sample, job, folder, known=known)
        workers = _workers(job, folder)
        run_all([functools.partial(sample, leads=n == 0) for n in range(workers)], workers=workers)
        with _shared(folder, alone=True):
            try:
                place(assemble(job.making(folder), job.facts))
            except ReopenedError as damage:
                name = job.making(folder).name
                log_line(f"{name}: {damage}; what follows is made again", log_stream())
            else:
                return
    raise WorkError(
        f"{folder}: images were damaged {ATTEMPTS} times after they were written; expected "
        "them as they were, check the disk and rerun: sound ones are kept"
    )


def help_sampling(job: SamplingJob, folder: Path, is_finished: Callable[[], bool]) -> None:
    """Sample in the folder that another process holds, or that one will hold."""
    with _shared(folder, alone=False):
        if is_finished():  # the others were quicker
            return
    _sample(job, folder, leads=False)


def _sample(
    job: SamplingJob, folder: Path, *, leads: bool, known: KnownCandidates | None = None
) -> None:
    from synthgap.jobs.device import torch_threads

    with _shared(folder, alone=False), torch_threads(job.threads):
        folder.mkdir(parents=True, exist_ok=True)
        _take_gpu(job)
        worker = SamplingWorker(job.making(folder), job.tools, leads)
        if known is not None:
            worker.known = known.batch
        worker.work()


@contextmanager
def _shared(folder: Path, *, alone: bool) -> Iterator[None]:
    """Share the work folder with all who sample; `alone`: when they have left it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.sampling").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


def _workers(job: SamplingJob, folder: Path) -> int:
    """How many processes are forked: on a CPU as many as there is work for, else none."""
    from synthgap.jobs.device import device_of

    if job.workers == 1 or is_launched() or device_of(job.runtime).type != "cpu":
        return 1
    making = job.making(folder)
    first = planned(making, 0)
    assert first is not None
    num_open = sum(not part.closed for part in making.parts(first))
    workers = max(1, min(job.workers, num_open))
    if workers > 1 and job.pipeline is not None:
        _import_early(job.pipeline)
    return workers


def _import_early(pipeline: Path) -> None:
    """Import before the fork what every child needs: it takes seconds, and nothing computes."""
    from synthgap.generation.pipelines.provenance import INDEX, pipeline_class

    if (pipeline / INDEX).is_file():
        import diffusers

        getattr(diffusers, pipeline_class(pipeline), None)


def _take_gpu(job: SamplingJob) -> None:
    """Compute on a GPU of one's own where processes share a machine."""
    import torch

    from synthgap.jobs.device import device_of

    if device_of(job.runtime).type == "cuda":
        torch.cuda.set_device(own_gpu(torch.cuda.device_count()))

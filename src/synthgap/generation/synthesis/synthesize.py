"""Stage `synthesize`: a synthetic image set of any size, by any number of processes."""

from __future__ import annotations

import fcntl
import functools
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthgap.data.image_set import ImageSet
from synthgap.errors import DataError, WorkError
from synthgap.generation.synthesis.assembling import ManifestFacts, assemble
from synthgap.generation.synthesis.planning import SetPlan, planned_set
from synthgap.generation.synthesis.rounds import ReopenedError, planned
from synthgap.generation.synthesis.sampling_workers import (
    KnownCandidates,
    SamplingWorker,
    log_stream,
)
from synthgap.generation.synthesis.set_request import SynthesizeParams
from synthgap.jobs import Artifacts, Work, hold, read_json, work_digest, write_json
from synthgap.jobs.launching import is_launched, is_main, own_gpu
from synthgap.jobs.progress import log_line
from synthgap.jobs.set_cache import keep_set, restore_set
from synthgap.jobs.workers import run_all

__all__ = ["SynthesizeParams", "cached_set", "sample_into_cache", "synthesize"]

STAGE = "synthesize"
CACHE_TIMEOUT_S = 7 * 24 * 3600.0  # workers of a study wait for the one that samples, however long
ATTEMPTS = 3  # to put a set together
FOR = "for.json"  # in a work folder: for which set it is
KEPT = "kept"  # and there: what was made before


def synthesize(params: SynthesizeParams, artifacts: Artifacts, *, image_set: str) -> None:
    """Sample the set of that name; of several processes the first one puts it together.

    Image k depends on the seed and k alone on one kind of machine, so a longer set begins with the
    images of a shorter one, and equal k have equal noise at every setting. Killed, it goes on
    behind the last batch that was written.

    Raises:
        SynthgapError: what is needed is missing or changed, too much is dropped, or another
            command is still making the set.
    """
    plan = planned_set(params, artifacts, image_set)
    output = artifacts.image_set(image_set)
    if not is_main():
        _help(plan, Work.of(artifacts.work, plan.identity, output, STAGE))
        return
    with hold(artifacts.work, plan.identity, output, stage=STAGE) as work:
        if work.finished:
            return
        started = time.time()
        _tell_of_others(plan, work)
        finished = work.folder / KEPT
        if _kept_whole(cached_set(plan), finished):
            work.publish(finished)
        else:
            _make(plan, work, functools.partial(_publish, plan, work))
        times = {"name": image_set, "start": started, "end": time.time()}
        write_json(artifacts.times / "sampling" / f"{artifacts.recipe}-{image_set}.json", times)


def cached_set(plan: SetPlan) -> Path:
    """Where a set lies in the cache, or would: named by the digest of all that makes it.

    The code is part of the name, as it is no part of the set: other code may make other images.
    """
    return plan.artifacts.image_sets_kept / work_digest(plan.identity, STAGE)


def sample_into_cache(plan: SetPlan, shorter: Sequence[SetPlan] = ()) -> Path:
    """Folder of the set in the cache, sampled there if it is not; no output is written.

    The stage takes it from there, as it would what it made itself, and leaves there what it makes.
    One process at a time makes a set, whole or not at all; killed, it goes on as the stage does.
    Images of the first of the `shorter` sets that is there are not sampled again.

    Raises:
        SynthgapError: as `synthesize`.
    """
    place = cached_set(plan)
    if place.is_dir():
        return place
    with hold(
        plan.artifacts.work, plan.identity, place, stage=STAGE, timeout_s=CACHE_TIMEOUT_S
    ) as work:
        if not place.is_dir():
            _tell_of_others(plan, work)
            known = next((one for one in shorter if _begins(one, plan)), None)
            _make(plan, work, functools.partial(_shelve, work, place), known)
    return place


def _begins(shorter: SetPlan, plan: SetPlan) -> bool:
    """Whether a set is there whose images the other begins with."""
    sizes = ("counts", "packed")
    ours, theirs = (
        {name: value for name, value in one.identity.items() if name not in sizes}
        for one in (plan, shorter)
    )
    return ours == theirs and plan.near_copies is None and cached_set(shorter).is_dir()


def _publish(plan: SetPlan, work: Work, finished: Path) -> None:
    keep_set(finished, cached_set(plan))
    work.publish(finished)


def _shelve(work: Work, place: Path, finished: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    finished.rename(place)
    shutil.rmtree(work.folder, ignore_errors=True)


def _kept_whole(place: Path, finished: Path) -> bool:
    """Take the set from the cache; a damaged one is thrown away, since its files are links."""
    if not restore_set(place, finished):
        return False
    try:
        images = ImageSet.read(finished)
        for row in range(len(images)):
            images.content(row)
    except DataError as damage:
        log_line(f"synthesize: {damage}; it was kept from before, and is made again")
        for folder in (place, finished):
            shutil.rmtree(folder)
        return False
    return True


def _make(
    plan: SetPlan, work: Work, place: Callable[[Path], None], known: SetPlan | None = None
) -> None:
    """Sample with all workers, put the set together and `place` it; again where one is damaged."""
    for _ in range(ATTEMPTS):
        workers = _workers(plan, work.folder)
        sample = functools.partial(_sample, plan, work, known=known)
        tasks = [functools.partial(sample, leads=n == 0) for n in range(workers)]
        run_all(tasks, workers=workers)
        with _among_others(work, alone=True):
            try:
                place(assemble(plan.making(work.folder), _facts(plan)))
            except ReopenedError as damage:
                name = plan.wanted.name
                log_line(f"synthesize {name}: {damage}; what follows is made again", log_stream())
            else:
                return
    raise WorkError(
        f"{work.folder}: images were damaged {ATTEMPTS} times after they were written; expected "
        "them as they were, check the disk and rerun: sound ones are kept"
    )


def _help(plan: SetPlan, work: Work) -> None:
    """Sample beside the process that holds the work, or that will."""
    with _among_others(work, alone=False):
        if work.finished:  # the others were quicker
            return
    _sample(plan, work, leads=False)


def _sample(plan: SetPlan, work: Work, *, leads: bool, known: SetPlan | None = None) -> None:
    from synthgap.jobs.device import torch_threads

    with _among_others(work, alone=False), torch_threads(plan.params.synthesize.threads):
        work.folder.mkdir(parents=True, exist_ok=True)
        _take_gpu(plan)
        worker = SamplingWorker(plan.making(work.folder), plan.tools, leads)
        if known is not None:
            worker.known = KnownCandidates.read(cached_set(known)).batch
        worker.work()


@contextmanager
def _among_others(work: Work, *, alone: bool) -> Iterator[None]:
    """Share the work folder with all who sample; `alone`: when they have left it."""
    root = work.folder.parent
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{work.digest}.crowd").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


def _workers(plan: SetPlan, folder: Path) -> int:
    """How many processes are forked: on a CPU as many as there is work for, else none."""
    from synthgap.jobs.device import device_of

    if is_launched() or device_of(plan.params.runtime).type != "cpu":
        return 1
    making = plan.making(folder)
    first = planned(making, 0)
    assert first is not None
    num_open = sum(not part.closed for part in making.parts(first))
    workers = max(1, min(plan.params.runtime.workers, num_open))
    if workers > 1:
        _import_early(plan)
    return workers


def _import_early(plan: SetPlan) -> None:
    """Import before the fork what every child needs: it takes seconds, and nothing computes."""
    from synthgap.generation.pipelines.provenance import INDEX, pipeline_class

    if (plan.folder / INDEX).is_file():
        import diffusers

        getattr(diffusers, pipeline_class(plan.folder), None)


def _take_gpu(plan: SetPlan) -> None:
    """Compute on a GPU of one's own where processes share a machine."""
    import torch

    from synthgap.jobs.device import device_of

    if device_of(plan.params.runtime).type == "cuda":
        torch.cuda.set_device(own_gpu(torch.cuda.device_count()))


def _tell_of_others(plan: SetPlan, work: Work) -> None:
    """Name half-finished work on the same set that this one cannot go on with."""
    place = plan.artifacts.image_set(plan.wanted.name)
    mine = {"set": str(place), "generator": plan.generator.sha256}
    for path in sorted(work.folder.parent.glob(f"*/{FOR}")):
        other = read_json(path)
        if other["set"] == mine["set"] and path.parent != work.folder:
            changed = other["generator"] != mine["generator"]
            log_line(
                f"synthesize {plan.wanted.name}: {path.parent} holds images of it made by "
                f"{'another generator' if changed else 'other parameters or code'}; they are left "
                "there for a rerun with that, delete the folder if there will be none",
                log_stream(),
            )
    write_json(work.folder / FOR, mine)


def _facts(plan: SetPlan) -> ManifestFacts:
    """What the manifest tells beside the images."""
    wanted, generator = plan.wanted, plan.generator
    return ManifestFacts(
        shared={
            "scheme": plan.scheme,
            "generator": generator.name,
            "guidance_scale": wanted.guidance_scale,
            "steps": wanted.steps,
            "scheduler": plan.scheduler,
            "generator_digest": generator.sha256,
            "licence": generator.licence,
        },
        own=plan.own,
        about=_about(plan),
    )


def _about(plan: SetPlan) -> dict[str, Any]:
    wanted, judged = plan.wanted, plan.judged_by
    return {
        "generator_real_labels": _real_labels(plan),
        "generator": wanted.rival,
        "guidance_scale": wanted.guidance_scale,
        "scheme": plan.scheme,
        "steps": wanted.steps,
        "factor": wanted.factor,
        "count": plan.params.synthesize.count,
        "seed": plan.params.seed,
        "made_with": dict(plan.metadata.shared),
        "provenance": plan.generator.as_json(),
        "spoken": {} if plan.writer is None else plan.writer.spoken,
        "names_class": plan.writer is not None and plan.writer.names_class,
        "prompts_digest": None if plan.writer is None else plan.writer.digest,
        "encoding": plan.encoding.as_json(),
        "filters": judged,
        "environment": plan.environment,
    }


def _real_labels(plan: SetPlan) -> int | None:
    """Real labels that decided about the images: the generator's or the judge's, if it judged."""
    known = [plan.generator.real_labels]
    if plan.judged_by["judge"] is not None:
        known.append(plan.judged_by["judge_real_labels"])
    if plan.capabilities.needs_images:
        known.append(len(plan.train))
    numbers = [one for one in known if one is not None]
    return max(numbers) if len(numbers) == len(known) else None

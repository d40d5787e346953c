"""Stage `synthesize`: a synthetic image set of any size, by any number of processes."""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthgap.data.image_set import ImageSet
from synthgap.errors import DataError
from synthgap.generation.synthesis.assembling import ManifestFacts
from synthgap.generation.synthesis.planning import SetPlan, planned_set
from synthgap.generation.synthesis.sampling import SamplingJob, help_sampling, sample_set
from synthgap.generation.synthesis.sampling_workers import KnownCandidates, log_stream
from synthgap.generation.synthesis.set_request import SynthesizeParams
from synthgap.jobs import Artifacts, Work, hold, read_json, work_digest, write_json
from synthgap.jobs.launching import is_main
from synthgap.jobs.progress import log_line
from synthgap.jobs.set_cache import keep_set, restore_set

__all__ = ["SynthesizeParams", "cached_set", "sample_into_cache", "synthesize"]

STAGE = "synthesize"
CACHE_TIMEOUT_S = 7 * 24 * 3600.0  # workers of a study wait for the one that samples, however long
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
        work = Work.of(artifacts.work, plan.identity, output, STAGE)
        help_sampling(_job(plan), work.folder, lambda: work.finished)
        return
    with hold(artifacts.work, plan.identity, output, stage=STAGE) as work:
        if work.finished:
            return
        started = time.time()
        _name_unfinished(plan, work)
        finished = work.folder / KEPT
        if _kept_whole(cached_set(plan), finished):
            work.publish(finished)
        else:
            sample_set(_job(plan), work.folder, functools.partial(_publish, plan, work))
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
            _name_unfinished(plan, work)
            begun = next((cached_set(one) for one in shorter if _begins(one, plan)), None)
            known = None if begun is None else KnownCandidates.read(begun)
            move = functools.partial(_move_to_cache, work, place)
            sample_set(_job(plan), work.folder, move, known)
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


def _move_to_cache(work: Work, place: Path, finished: Path) -> None:
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


def _job(plan: SetPlan) -> SamplingJob:
    return SamplingJob(
        runtime=plan.params.runtime,
        workers=plan.params.runtime.workers,
        threads=plan.params.synthesize.threads,
        pipeline=plan.folder,
        making=plan.making,
        tools=plan.tools,
        facts=_facts(plan),
    )


def _name_unfinished(plan: SetPlan, work: Work) -> None:
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

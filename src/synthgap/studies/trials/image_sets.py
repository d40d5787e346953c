"""Synthetic sets that trials name: found in the cache, or sampled into it."""

from __future__ import annotations

import math
import shutil
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np

from synthgap.data.packed import Ranges
from synthgap.errors import DataError
from synthgap.experiments.runs.sources import Source, read_source
from synthgap.experiments.runs.subsets import num_kept
from synthgap.generation.synthesis.planning import SetPlan, planned_set
from synthgap.generation.synthesis.set_request import SynthesizeParams, set_request
from synthgap.generation.synthesis.synthesize import cached_set, sample_into_cache
from synthgap.jobs import Artifacts, content_digest
from synthgap.jobs.progress import log_line
from synthgap.params.overriding import IMAGE_SET
from synthgap.params.sections import Params
from synthgap.params.synthesis import LEAST_FACTOR, SetName
from synthgap.studies.trials.plan import StudyPlan
from synthgap.studies.trials.space import all_values

MEMORY = 2 * 1024**3  # bytes of images that are kept open


@dataclass(frozen=True)
class TrialSets:
    """Opens the sets that trials name, and keeps those opened last in memory.

    Of a whole set those images are not sampled again that the set of one of `shares` holds.
    """

    artifacts: Artifacts
    shares: tuple[float, ...] = ()
    _opened: OrderedDict[str, Source] = field(default_factory=OrderedDict, init=False, repr=False)

    def source(self, settings: Params, share: float) -> Source:
        """The first `share` of every class of the set `settings.guide.image_set`.

        Equal whether they come from the whole set, where that is there already, or from a smaller
        one, which is sampled else: the first images of a set do not depend on its size.

        Raises:
            SynthgapError: as stage `synthesize`.
        """
        asked = synthesize_params(settings)
        name, size_px = settings.guide.image_set, settings.data.image_size
        key = content_digest({"set": name, "share": share, "asked": asdict(asked)})
        if key not in self._opened:
            whole = planned_set(asked, self.artifacts, name)
            counts = [n and num_kept(n, 1 / share) for n in whole.counts.tolist()]
            plan = whole if share >= 1 else self._least(whole, share, counts)
            opened = self._read(plan, self._begun(plan), name, size_px)
            self._keep(key, opened if share >= 1 else first(opened, counts))
        self._opened.move_to_end(key)
        return self._opened[key]

    def _least(self, whole: SetPlan, share: float, counts: Sequence[int]) -> SetPlan:
        """The set to open for so many images of each class: the whole one only if it is there."""
        if cached_set(whole).is_dir():
            return whole
        name = smaller(whole.wanted.name, share)
        plan = planned_set(whole.params, self.artifacts, name)
        return plan if (plan.counts >= counts).all() else whole

    def _begun(self, plan: SetPlan) -> list[SetPlan]:
        """Shorter sets of the same kind, the largest first, unless this one is there."""
        if cached_set(plan).is_dir():
            return []
        names = [smaller(plan.wanted.name, share) for share in sorted(self.shares, reverse=True)]
        section, size = plan.params.synthesize, plan.wanted.factor
        others = [name for name in names if set_request(name, section).factor < size]
        return [planned_set(plan.params, self.artifacts, name) for name in others]

    def _read(self, plan: SetPlan, begun: Sequence[SetPlan], name: str, size_px: int) -> Source:
        """Open the set, sampled first where it is missing; a damaged one is made again."""
        try:
            return read_source(self.artifacts, sample_into_cache(plan, begun), name, size_px)
        except DataError as damage:
            place = cached_set(plan)
            if not place.is_dir():  # it was no image of the set that was damaged
                raise
            log_line(f"{name}: {damage}; it was kept from before, and is made again")
            broken = place.with_name(f".{place.name}.broken")
            place.rename(broken)
            shutil.rmtree(broken)
            return read_source(self.artifacts, sample_into_cache(plan), name, size_px)

    def _keep(self, key: str, source: Source) -> None:
        self._opened[key] = source
        while len(self._opened) > 1 and sum(map(_bytes, self._opened.values())) > MEMORY:
            self._opened.popitem(last=False)


def synthesize_params(settings: Params) -> SynthesizeParams:
    """What stage `synthesize` would read of these params.

    Forked samplers need a parent of one thread: beside a heartbeat, or after it has computed with
    several, this process samples alone. That never changes results.
    """
    forks = settings.runtime.threads == 1 and threading.active_count() == 1
    runtime = settings.runtime if forks else replace(settings.runtime, workers=1)
    return SynthesizeParams(
        seed=settings.seed,
        runtime=runtime,
        data=settings.data,
        prompts=settings.prompts,
        synthesize=settings.synthesize,
    )


def smaller(name: str, share: float) -> str:
    """Name of the set that holds at least the first `share` of every class of the set `name`."""
    named = SetName.parse(name)
    assert named is not None, "the params' own check lets no other name through"
    factor = math.ceil((named.factor or 1.0) * share * 1e4) / 1e4
    return replace(named, factor=max(factor, LEAST_FACTOR)).name


def first(source: Source, counts: Sequence[int]) -> Source:
    """The first images of every class, `counts[label]` of each."""
    labels = source.images.labels
    rows = [np.flatnonzero(labels == label)[:count] for label, count in enumerate(counts)]
    return part(source, np.sort(np.concatenate(rows)))


def part(source: Source, rows: np.ndarray) -> Source:
    """Some images of a source as one of its own; `rows` (num_images,) are rising indices."""
    images = source.images
    ranges = images.ranges
    if ranges is not None:
        columns = (ranges.codes[rows], ranges.offsets[rows], ranges.sizes[rows])
        ranges = Ranges(ranges.shards, *columns)
    fewer = replace(
        images,
        paths=tuple(images.paths[row] for row in rows),
        labels=images.labels[rows],
        sha256s=tuple(images.sha256s[row] for row in rows),
        ranges=ranges,
    )
    return Source(source.name, fewer, source.labelled.subset(rows))


def _bytes(source: Source) -> int:
    return source.labelled.images.numel()


def sets_of(plan: StudyPlan, artifacts: Artifacts) -> dict[str, bool]:
    """Names of the sets, and whether each lies in the cache that stages and studies share.

    Raises:
        SynthgapError: the generator is missing.
    """
    pass
    from synthgap.generation.synthesis.planning import planned_set
    from synthgap.generation.synthesis.synthesize import cached_set

    found = {}
    for values in _namings(plan):
        params = plan.settings(values)
        name = params.guide.image_set
        if name not in found:
            planned = planned_set(synthesize_params(params), artifacts, name)
            found[name] = cached_set(planned).is_dir()
    return found


def _namings(plan: StudyPlan) -> list[dict[str, Any]]:
    """Every combination of values that names a set."""
    keys = [key for key in plan.study.space if key == IMAGE_SET or key.startswith(f"{IMAGE_SET}.")]
    values = [all_values(plan, key) or [plan.default[key]] for key in keys]
    return [dict(zip(keys, each, strict=True)) for each in product(*values)]

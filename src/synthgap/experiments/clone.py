"""Does the generator's setting matter? Students of one synthetic set, whole or of growing parts.

FITYMI, Table 1 and Fig. 4: by generator, prompts, guidance, steps and size. The students are those
of stage `train`, equal seeds giving equal ones, so a set that `train` has needs its parts alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np

from synthgap.experiments.linear_probe import open_probe
from synthgap.experiments.runs.cell import Cell, make_cell
from synthgap.experiments.runs.sources import Source, open_source
from synthgap.experiments.runs.spec import RunSettings, RunSpec, scale_of
from synthgap.experiments.runs.subsets import prefix, stratified
from synthgap.jobs import Artifacts, Log
from synthgap.params.sections import Clone
from synthgap.seeding import derived_seed

WHOLE = (1.0,)


@dataclass(frozen=True)
class CloneParams(RunSettings):
    """The sections that stage `clone` reads."""

    clone: Clone


def clone(params: CloneParams, artifacts: Artifacts, log: Log, *, image_set: str) -> None:
    """Train students from scratch on `image_set` and probe what they have learned.

    A set of `clone.curve_sets` is learned at each of `clone.curve_shares`, any other one whole.

    Raises:
        SynthgapError: the set did not pass the gate, or a training cannot go on.
    """
    cell = Cell(
        "clone",
        (image_set,),
        {"clone": asdict(params.clone), "train": asdict(params.train)},
        plans_of(params, open_source(artifacts, image_set, params.data.image_size)),
        prober=open_probe(params, artifacts),
    )
    make_cell(cell, params, artifacts, log)


def plans_of(params: CloneParams, source: Source) -> list[RunSpec]:
    """One run for every share and seed, all with as many optimiser steps as the whole set."""
    section = params.clone
    shares = section.curve_shares if source.name in section.curve_sets else WHOLE
    run = partial(_plan, params, source)
    return [run(share, seed) for share in shares for seed in section.seeds]


def _plan(params: CloneParams, source: Source, share: float, seed: int) -> RunSpec:
    plan = RunSpec(
        name=f"{source.name} s{seed}",
        seed=seed,
        source=source,
        share=share,
        guidance_scale=scale_of(source.name),
    )
    if share == 1:
        return plan
    whole = len(source.images)
    return replace(
        plan,
        name=f"{source.name} {share:g} s{seed}",
        indices=_part(source, share, derived_seed(params.seed, "run", seed)),
        steps_per_epoch=whole // min(params.training.batch_size, whole),
    )


def _part(source: Source, share: float, seed: int) -> np.ndarray:
    """Indices of `share` of every class, inside those of any larger share.

    Of a synthetic set the first images, whose order tells nothing; of a real one by the run's seed.
    """
    labels = source.images.labels
    if source.images.kind == "synthetic":
        return prefix(labels, share)
    return stratified(labels, 1 / share, seed=seed)

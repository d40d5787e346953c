"""Fewer real labels from scratch, fine-tuned, and over frozen synthetic prefixes (MtG Fig. 3)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal, Self

from synthgap.experiments.linear_probe import open_probe
from synthgap.experiments.runs.cell import Cell, make_cell
from synthgap.experiments.runs.features import donor_view
from synthgap.experiments.runs.sources import REAL, Source, open_source
from synthgap.experiments.runs.spec import Donor, RunSettings, RunSpec, donor_seed
from synthgap.experiments.runs.subsets import subset
from synthgap.jobs import Artifacts, Log
from synthgap.models.build import build_student
from synthgap.models.units import units_of
from synthgap.params.sections import Reduce
from synthgap.seeding import derived_seed

Mode = Literal["scratch", "freeze", "finetune"]


@dataclass(frozen=True)
class ReduceParams(RunSettings):
    """The sections that stage `reduce` reads."""

    reduce: Reduce


def reduce(params: ReduceParams, artifacts: Artifacts, log: Log, *, denominator: int) -> None:
    """Learn from 1/denominator of the real labels: alone, from all of a donor, over its prefixes.

    Raises:
        SynthgapError: a donor is missing, or a training cannot go on.
    """
    share = Share.open(params, artifacts, denominator)
    blank = build_student(params.student.at_random(), len(share.source.images.classes), seed=0)
    arms: list[tuple[Mode, int]] = [("scratch", 0), ("finetune", len(units_of(blank)))]
    arms += [("freeze", depth) for depth in params.reduce.depths]
    section = asdict(params.reduce)
    del section["depths"]  # each run tells its own: one more depth leaves the others what they are
    cell = Cell(
        "reduce",
        (denominator,),
        {"reduce": section, "train": asdict(params.train)},
        [share.plan(mode, depth, seed) for mode, depth in arms for seed in params.reduce.seeds],
        prober=open_probe(params, artifacts),
    )
    make_cell(cell, params, artifacts, log)


@dataclass(frozen=True)
class Share:
    """1/denominator of the real labels, and the runs on them."""

    params: ReduceParams
    artifacts: Artifacts
    source: Source
    denominator: int

    @classmethod
    def open(cls, params: ReduceParams, artifacts: Artifacts, denominator: int) -> Self:
        """Read the real set.

        Raises:
            SynthgapError: it is missing, or the gate has no good word for it.
        """
        source = open_source(artifacts, REAL, params.data.image_size)
        return cls(params, artifacts, source, denominator)

    def plan(self, mode: Mode, depth: int, seed: int) -> RunSpec:
        """One run on the seed's own subset, over units [0, depth) of the synthetic donor."""
        reduce, whole = self.params.reduce, len(self.source.images)
        arm = "prefix" if mode == "freeze" else mode
        donor_set = self.artifacts.synthetic(reduce.guidance_scale)
        chooser = Donor.open(self.artifacts, donor_set, donor_seed(self.params.train.seeds, seed))
        donor = None if mode == "scratch" else chooser
        steps = whole // min(self.params.training.batch_size, whole)
        return RunSpec(
            name=f"{arm}{f' n{depth}' if mode == 'freeze' else ''} 1/{self.denominator} s{seed}",
            seed=seed,
            source=self.source,
            donor=donor,
            depth=depth,
            mode=mode,
            arm=arm,
            denominator=self.denominator,
            indices=subset(
                reduce.subset,
                self.source.images.labels,
                self.denominator,
                seed=derived_seed(self.params.seed, "run", seed),
                donor_features=partial(donor_view, chooser, self.params, self.source.labelled),
            ),
            steps_per_epoch=steps if reduce.budget == "iterations" else None,
            guidance_scale=reduce.guidance_scale if donor else None,
        )

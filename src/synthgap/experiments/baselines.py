"""Fewer real labels without freezing (MtG Fig. 3): from scratch, and fine-tuned; all are probed."""

from __future__ import annotations

from dataclasses import asdict

from synthgap.artifacts import Artifacts, Log
from synthgap.experiments.probing import open_probe
from synthgap.experiments.reduce import Mode, ReduceParams, Share
from synthgap.models.build import build_student
from synthgap.models.units import units_of
from synthgap.runs.cell import Cell, make_cell


def baselines(params: ReduceParams, artifacts: Artifacts, log: Log, *, denominator: int) -> None:
    """Learn everything from 1/denominator of the real labels: from scratch, and fine-tuned.

    Raises:
        SynthgapError: a donor is missing, or a training cannot go on.
    """
    share = Share.open(params, artifacts, denominator)
    blank = build_student(params.student.at_random(), len(share.source.images.classes), seed=0)
    arms: list[tuple[Mode, int]] = [("scratch", 0), ("finetune", len(units_of(blank)))]
    plans = [share.plan(mode, depth, seed) for mode, depth in arms for seed in params.reduce.seeds]
    cell = Cell(
        "baselines",
        (denominator,),
        {"reduce": asdict(params.reduce), "train": asdict(params.train)},
        plans,
        prober=open_probe(params, artifacts),
    )
    make_cell(cell, params, artifacts, log)

"""Students from scratch on one image set: the end points of every comparison, and the donors."""

from __future__ import annotations

from dataclasses import asdict

from synthgap.experiments.linear_probe import open_probe
from synthgap.experiments.runs.cell import Cell, make_cell
from synthgap.experiments.runs.sources import open_source
from synthgap.experiments.runs.spec import RunSettings, RunSpec, scale_of
from synthgap.jobs import Artifacts, Log


def train(params: RunSettings, artifacts: Artifacts, log: Log, *, image_set: str) -> None:
    """Train one student a seed on `image_set`, keep its weights and probe its features.

    Raises:
        SynthgapError: the set did not pass the gate, or a training cannot go on.
    """
    source = open_source(artifacts, image_set, params.data.image_size)
    plans = [
        RunSpec(
            name=f"{image_set} s{seed}",
            seed=seed,
            source=source,
            guidance_scale=scale_of(image_set),
        )
        for seed in params.train.seeds
    ]
    cell = Cell(
        "train",
        (image_set,),
        {"train": asdict(params.train)},
        plans,
        keep_weights=True,
        prober=open_probe(params, artifacts),
    )
    make_cell(cell, params, artifacts, log)

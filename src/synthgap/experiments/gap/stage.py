"""Stage `gap`: why synthetic images are worth less, and which of them to add to real ones.

Cross-source accuracy and losses, saturation, appearance, content and quality into gap.json; the
images of least and most loss into sheets; and the sampling experiment as runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from synthgap.experiments.gap.contact_sheets import draw_losses
from synthgap.experiments.gap.predictions import PredictedSet, SourceStudents
from synthgap.experiments.gap.record import (
    appearance,
    cross_accuracy,
    loss_histograms,
    manifold_numbers,
    measured_path,
    record_path,
    reference_numbers,
    runs_of,
    saturation,
)
from synthgap.experiments.gap.sampling import VARIANTS, Sampling
from synthgap.experiments.runs.cell import Cell, make_cell
from synthgap.experiments.runs.features import one_thread
from synthgap.experiments.runs.sources import open_source
from synthgap.experiments.runs.spec import Donor, RunSettings
from synthgap.jobs import Artifacts, Log, file_digest, write_json
from synthgap.jobs.device import device_of
from synthgap.params.students import Gap

SHEETS = {"low": False, "high": True}  # by the start of their names: highest losses?
Numbers = dict[str, Any]


@dataclass(frozen=True)
class GapParams(RunSettings):
    """The sections that stage `gap` reads."""

    gap: Gap


def gap(params: GapParams, artifacts: Artifacts, log: Log) -> None:
    """Hold the sources against each other, and train what the sampling experiment asks for.

    Raises:
        SynthgapError: an image set, a student or fidelity.json is missing or damaged, or a
            training cannot go on.
    """
    make_cell(gap_cell(params, artifacts), params, artifacts, log)


def gap_cell(params: GapParams, artifacts: Artifacts) -> Cell:
    """Everything but the trainings: what to write beside their records, and what they learn.

    Only training images are used; nothing else chooses anything.

    Raises:
        SynthgapError: an image set, a student or fidelity.json is missing or damaged.
    """
    with one_thread():  # the runs are forked from here
        study = _GapStudy.open(params, artifacts)
        predicted_sets = study.predicted_sets()
        found = study.found(predicted_sets)
    real = predicted_sets[params.gap.sets[0]].source
    return Cell(
        "gap",
        (),
        {"gap": asdict(params.gap)},
        [
            plan
            for name in params.gap.sampled
            for plan in study.sampling.plans(real, predicted_sets[name])
        ],
        inputs=study.inputs,
        beside=partial(_write, found, predicted_sets, study),
    )


@dataclass(frozen=True)
class _GapStudy:
    params: GapParams
    artifacts: Artifacts
    donors: Mapping[str, list[Donor]]  # of every source, a seed each
    runs: Mapping[str, list[Numbers]]  # their records

    @classmethod
    def open(cls, params: GapParams, artifacts: Artifacts) -> _GapStudy:
        seeds, names = params.gap.seeds, params.gap.sets
        return cls(
            params,
            artifacts,
            {name: [Donor.open(artifacts, name, seed) for seed in seeds] for name in names},
            {name: runs_of(artifacts, name, seeds) for name in names},
        )

    @property
    def inputs(self) -> dict[str, str]:
        """Digest of everything read besides image sets, by its path."""
        found = {}
        for name, donors in self.donors.items():
            path = record_path(self.artifacts, name)
            found[path] = file_digest(path)
            found |= {Path(f"{each.stem}.safetensors"): each.weights_sha256 for each in donors}
        path = measured_path(self.artifacts)
        found[path] = file_digest(path)
        return {
            path.relative_to(self.artifacts.root).as_posix(): digest
            for path, digest in found.items()
        }

    @property
    def sampling(self) -> Sampling:
        real = self.runs[self.params.gap.sets[0]]
        steps = {run["seed"]: run["num_steps"] // len(run["epochs"]) for run in real}
        return Sampling(self.params.gap, self.params.seed, steps)

    def synthetic(self, predicted_sets: Mapping[str, PredictedSet]) -> list[str]:
        """Names of the sets that a generator made."""
        return [
            name
            for name, predicted in predicted_sets.items()
            if predicted.source.kind == "synthetic"
        ]

    def predicted_sets(self) -> dict[str, PredictedSet]:
        """Every set, predicted by every source's students."""
        params = self.params
        classes = SourceStudents.open(self.donors, params.student, device_of(params.runtime))
        found = {}
        for name in params.gap.sets:
            source = open_source(self.artifacts, name, params.data.image_size)
            found[name] = classes.predict(
                source, max_images=params.gap.max_images, seed=params.seed
            )
        return found

    def found(self, predicted_sets: Mapping[str, PredictedSet]) -> Numbers:
        """The content of gap.json."""
        how, made = self.params.gap, self.synthetic(predicted_sets)
        sheets = {kind: {name: f"{kind}-{name}.png" for name in made} for kind in SHEETS}
        histograms = loss_histograms(predicted_sets, how.bins)
        curves = {name: saturation(runs, how.saturated_within) for name, runs in self.runs.items()}
        return {
            "schema": 1,
            "recipe": self.artifacts.recipe,
            "params": asdict(how),
            "sets": list(how.sets),
            "num_images": {name: len(predicted.rows) for name, predicted in predicted_sets.items()},
            "cross": cross_accuracy(predicted_sets),
            "saturation": curves,
            "cross_entropy": histograms,
            "appearance": {
                name: appearance(predicted, how.high_frequency)
                for name, predicted in predicted_sets.items()
            },
            **self._manifold(predicted_sets),
            "reference": reference_numbers(self.artifacts),
            "sheets": sheets,
            "selection": self._selection(predicted_sets),
        }

    def _manifold(self, predicted_sets: Mapping[str, PredictedSet]) -> Numbers:
        """Content and quality of every set but the real one that it is held against."""
        others = [predicted_sets[name].source for name in self.params.gap.sets[1:]]
        split = {source.name: manifold_numbers(self.artifacts, source) for source in others}
        parts = ("content", "quality")
        return {part: {name: numbers[part] for name, numbers in split.items()} for part in parts}

    def _selection(self, predicted_sets: Mapping[str, PredictedSet]) -> Numbers:
        """What the sampling experiment adds (at random: for the first seed), and its mean loss."""
        how, sampling = self.params.gap, self.sampling
        added = {}
        for name in how.sampled:
            losses = predicted_sets[name].answers[how.sets[0]].losses
            kept = {
                variant: sampling.kept(variant, predicted_sets[name], how.seeds[0])
                for variant in VARIANTS
            }
            added[name] = {
                variant: {
                    "num_images": len(places),
                    "loss": round(float(losses[places].mean()), 6),
                }
                for variant, places in kept.items()
            }
        return {"share": how.share, "classifier": how.sets[0], "added": added}


def _write(
    found: Numbers, predicted_sets: Mapping[str, PredictedSet], study: _GapStudy, folder: Path
) -> None:
    """Write gap.json and the sheets into the cell's finished folder."""
    for kind, highest in SHEETS.items():
        for name in study.synthetic(predicted_sets):
            path = folder / found["sheets"][kind][name]
            draw_losses(path, predicted_sets[name], study.params.gap.sets[0], highest=highest)
    write_json(folder / "gap.json", found)

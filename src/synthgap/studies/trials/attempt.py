"""Where a study's images come from: the generators behind its sets, and the real labels used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch

from synthgap.data import ImageSet
from synthgap.errors import DataError, GateError
from synthgap.experiments.runs.sources import REAL, Source, read_source
from synthgap.experiments.runs.spec import RunSpec
from synthgap.generation.pipelines.provenance import Provenance
from synthgap.generation.synthesis.set_request import set_request
from synthgap.guidance.methods import METHODS
from synthgap.jobs import Artifacts, read_json
from synthgap.jobs.device import device_of
from synthgap.params.overriding import IMAGE_SET
from synthgap.params.sections import Params
from synthgap.params.spaces import ends
from synthgap.seeding import derived_seed
from synthgap.studies.trials.context import TrialContext, facts
from synthgap.studies.trials.image_sets import TrialSets
from synthgap.studies.trials.measures import (
    AGREEMENT,
    CLIP_SCORE,
    ECE,
    HOLDOUT,
    REAL_LABELS,
    ClipScores,
    agreement,
    calibration,
    parted,
)
from synthgap.studies.trials.plan import AttemptReport, StudyPlan
from synthgap.training.checkpointing import EpochResult


def generators(plan: StudyPlan, artifacts: Artifacts) -> dict[Path, Provenance]:
    """Every generator that a trial's set may be sampled from, by its folder.

    Raises:
        GeneratorError: one is missing.
    """
    found = {}
    for values in ({}, *_others(plan)):
        params = plan.settings(values)
        stage, *cell = set_request(params.guide.image_set, params.synthesize).source
        folder = artifacts.cell(stage, *cell) if cell else artifacts.generator
        if folder not in found:
            found[folder] = Provenance.read(artifacts, *([stage, *cell]))
    return found


def student_labels(plan: StudyPlan, real: ImageSet) -> int:
    """Real labels that the default's student learns from; `real` is the training set."""
    given, shots = METHODS[plan.study.method].real, plan.base.protocols[plan.study.protocol]
    if given in {"none", "images"}:
        return 0
    if given == "all" or shots.real_per_class is None:
        return len(real)
    return shots.real_per_class * len(real.classes)


def _others(plan: StudyPlan) -> list[dict[str, object]]:
    """Values that name another set's generator."""
    keys = [key for key in (IMAGE_SET, f"{IMAGE_SET}.rival") if key in plan.study.space]
    return [{key: value} for key in keys for value in ends(plan.study.space[key])]


SELECTS = "val"
EPOCH_METRICS = ("top1", "balanced", "loss")


@dataclass(frozen=True)
class StudentAttempt:
    """Trains students of one study; all that its trials share is read once.

    `scored` are the real sets that they are scored on, by name: `val` alone while a study runs.
    """

    plan: StudyPlan
    artifacts: Artifacts
    scored: Mapping[str, Source]
    measured: tuple[str, ...]  # of METRICS, at the end of an attempt
    run_context: TrialContext
    trial_sets: TrialSets
    clip: ClipScores

    @classmethod
    def open(cls, plan: StudyPlan, artifacts: Artifacts) -> Self:
        """Read `train`, `val` and the references that the study's method asks for.

        Raises:
            SynthgapError: one of them, the generator or the teacher is missing, or the gate has
                refused the real training set.
        """
        size_px = plan.base.data.image_size
        real, val = (
            read_source(artifacts, artifacts.image_set(name), name, size_px)
            for name in (REAL, SELECTS)
        )
        _check_gate(artifacts, real)
        if not len(val.images):
            raise DataError(
                f"{val.images.root}: no images, expected some for study {plan.name} to compare "
                "trials by; set data.splits.val and rerun `dvc repro ingest`"
            )
        opened = cls(
            plan=plan,
            artifacts=artifacts,
            scored={SELECTS: val},
            measured=plan.study.measured,
            run_context=TrialContext(artifacts, plan.study.protocol, plan.study.method, real),
            trial_sets=TrialSets(artifacts, plan.study.shares),
            clip=ClipScores(artifacts, device_of(plan.base.runtime).type),
        )
        assert opened.inputs  # what is missing is refused before the first trial
        return opened

    def scored_on(self, scored: Mapping[str, Source]) -> Self:
        """The same trainings, scored on other real sets; nothing else is measured of them.

        So they learn from whole synthetic sets, of which nothing is held out.
        """
        return replace(self, scored=scored, measured=())

    @property
    def inputs(self) -> dict[str, str]:
        """Digests of all that trials read, by path; of images only what stages have written.

        Raises:
            SynthgapError: something is missing.
        """
        root = self.artifacts.root
        sets = [one.images for one in (self.run_context.real, *self.scored.values())]
        found = {one.root.relative_to(root).as_posix(): one.digest for one in sets}
        for folder, generator in generators(self.plan, self.artifacts).items():
            found[folder.relative_to(root).as_posix()] = generator.sha256
        found |= self.run_context.inputs(self.plan.base)
        if CLIP_SCORE in self.measured:
            found |= self.clip.inputs
        return dict(sorted(found.items()))

    @property
    def labels(self) -> dict[str, int | None]:
        """Real labels of `val`, and those that generator, references and student use by default.

        None where nobody knows.
        """
        behind = [one.real_labels for one in generators(self.plan, self.artifacts).values()]
        return {
            SELECTS: sum(len(one.images) for one in self.scored.values()),
            "generator": None if None in behind else max(count or 0 for count in behind),
            "reference": self.run_context.reference_labels(self.plan.base),
            "student": student_labels(self.plan, self.run_context.real.images),
        }

    def __call__(
        self, values: Mapping[str, object], *, seed: int, share: float
    ) -> Iterator[AttemptReport]:
        """Yield after every epoch; closing the iterator stops the training.

        Metrics of an epoch are its own; the last reading has instead the means over the last
        `training.last_epochs` epochs, which is what the papers call an accuracy, and with them all
        that the study measures.

        Raises:
            ParamsError: the values contradict each other.
            TrainingError: the loss is not finite.
            SynthgapError: something that the next trial would meet too.
        """
        params = self.plan.settings(values)
        torch.set_num_threads(params.runtime.threads)
        synthetic = learned = self.trial_sets.source(params, share)
        scored = dict(self.scored)
        if HOLDOUT in self.measured:
            learned, scored[HOLDOUT] = parted(synthetic)
        run = self.run_context.run(params, learned, seed=seed, share=share)
        assert run.training is not None
        assert run.steps_per_epoch is not None
        steps, about, epochs = run.steps_per_epoch, facts(run), list[EpochResult]()
        for epoch in self.run_context.trained(run, params, scored):
            epochs.append(epoch)
            if epoch.number < run.training.epochs:
                yield AttemptReport(epoch.number, epoch.number * steps, self._means([epoch]), about)
        lasting = epochs[-run.training.last_epochs :]
        metrics, num_steps = self._means(lasting), len(epochs) * steps
        metrics |= self._measures(run, synthetic, lasting)
        if AGREEMENT in self.measured:
            metrics[AGREEMENT] = self._agreement(run, params, epochs[-1])
            num_steps *= 2
        yield AttemptReport(epochs[-1].number, num_steps, metrics, about)

    def _means(self, epochs: Sequence[EpochResult]) -> dict[str, float]:
        """Means of `train/loss` and EPOCH_METRICS over epochs."""
        names = ["train/loss", *(f"{name}/{one}" for name in self.scored for one in EPOCH_METRICS)]
        return {name: _mean([epoch.metrics[name] for epoch in epochs]) for name in names}

    def _measures(
        self, run: RunSpec, synthetic: Source, epochs: Sequence[EpochResult]
    ) -> dict[str, float]:
        """What the study measures besides, of the last epochs."""
        found: dict[str, float] = {}
        if f"{SELECTS}/{ECE}" in self.measured:
            labels = self.scored[SELECTS].images.labels
            errors = [calibration(epoch.scores[SELECTS], labels) for epoch in epochs]
            found[f"{SELECTS}/{ECE}"] = _mean(errors)
        if HOLDOUT in self.measured:
            found[HOLDOUT] = _mean([epoch.scores[HOLDOUT].top1 for epoch in epochs])
        if CLIP_SCORE in self.measured:
            found[CLIP_SCORE] = self.clip(synthetic)
        if REAL_LABELS in self.measured:
            found[REAL_LABELS] = float(run.num_real)
        return found

    def _agreement(self, run: RunSpec, params: Params, last: EpochResult) -> float:
        """With a student that learns the same images from other random numbers, after its end."""
        other = replace(run, seed=derived_seed(run.seed, AGREEMENT))
        *_, partner = self.run_context.trained(other, params, self.scored)
        return agreement(last.scores[SELECTS], partner.scores[SELECTS])


def _check_gate(artifacts: Artifacts, real: Source) -> None:
    """Refuse images that the gate has refused; without its word on them they may be tried.

    Raises:
        GateError: it has.
    """
    path = artifacts.verdict(real.name)
    verdict = read_json(path) if path.is_file() else {}
    if verdict.get("digest") == real.images.digest and not verdict.get("passed"):
        raise GateError(
            f"{path}: the gate has refused {real.images.root}; nothing trains on it, see its "
            "report and rerun `dvc repro validate`"
        )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))

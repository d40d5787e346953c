"""Make one run inside its work folder, from where a killed one stopped."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import nn

from synthgap.experiments.runs.sources import Source
from synthgap.experiments.runs.spec import RunSettings, RunSpec
from synthgap.jobs import Log, read_json, write_json
from synthgap.jobs.distributed import accelerator_of, split_batch_norm
from synthgap.jobs.launching import is_main
from synthgap.models.build import build_student
from synthgap.models.checkpoint import load_weights, save_model
from synthgap.models.distillation import DistilledStudent
from synthgap.models.frozen_prefix import copy_prefix, load_frozen_prefix
from synthgap.params.sections import Runtime, Training
from synthgap.seeding import derived_seed
from synthgap.training.augmentation import load_mixing_pictures
from synthgap.training.checkpointing import Checkpointer, EpochResult
from synthgap.training.labelled_images import LabelledImages, Normalisation
from synthgap.training.loop import Phase, fit_phases
from synthgap.training.train_spec import TrainSpec

RESULT = "result.json"
STATE = "state-{}.pt"  # of each phase
STUDENT = "student"
PROBE = "probe/top1"


@dataclass(frozen=True)
class ProbeResult:
    """What a linear probe of a student's features is right on."""

    strength: float  # C, as chosen
    top1: float  # percent of the test images
    predictions: np.ndarray  # (num_test_images,) int64


class Prober(Protocol):
    """Looks at finished students; it learns from real images."""

    @property
    def source(self) -> Source:
        """The set of these images."""

    @property
    def num_labels(self) -> int:
        """How many real labels it learns from."""

    @property
    def about(self) -> Mapping[str, Any]:
        """What determines it, besides the student."""

    def __call__(self, model: nn.Module, lesson: TrainSpec) -> ProbeResult:
        """Look at one student that has learned `lesson`."""


@dataclass(frozen=True)
class RunContext:
    """What all runs of a cell are made with."""

    settings: RunSettings
    identity: Mapping[str, Any]  # the cell's, for run digests
    record: Mapping[str, Any]  # what every run's record repeats: experiment, recipe, student
    inputs: Mapping[str, str]
    scored: Mapping[str, Source]
    folder: Path  # the cell's work folder
    log: Log
    keep_weights: bool
    real: Normalisation | None = None  # statistics of the real training set, where wanted
    prober: Prober | None = None

    def training_of(self, plan: RunSpec) -> Training:
        """The run's own settings, or those of params.yaml."""
        return plan.training or self.settings.training

    def run_folder(self, plan: RunSpec) -> Path:
        """Where a run's result lies until the cell is complete."""
        return self.folder / "runs" / plan.digest(self.identity)


def make(plan: RunSpec, bench: RunContext) -> None:
    """Train one student and leave its result in the run's folder; do nothing if it is there.

    Raises:
        TrainingError: the loss is not finite.
        CheckpointError: the donor does not fit the student.
    """
    folder = bench.run_folder(plan)
    if (folder / RESULT).is_file():
        return
    started = time.time()
    folder.mkdir(parents=True, exist_ok=True)
    lesson = train_spec_of(plan, bench)
    record = _record(plan, bench, lesson)
    start = {"run": record, "inputs": bench.inputs, "params": bench.identity["params"]}
    bench.log(record["digest"], {"event": "start", **start})
    try:
        model, epochs, probed = _train(plan, bench, lesson, record["digest"])
    except BaseException:
        bench.log(record["digest"], {"event": "end", "status": "FAILED"})
        raise
    bench.log(record["digest"], {"event": "end", "status": "FINISHED"})
    if not is_main():
        return
    if bench.keep_weights:
        _keep_student(folder, model, plan, bench, record)
    _keep_predictions(folder, epochs, lesson.training.last_epochs, probed)
    last = last_epochs(epochs, lesson.training.last_epochs)
    every = [{"epoch": epoch.number, **epoch.metrics} for epoch in epochs]
    strength = probed.strength if probed else None
    numbers = {"epochs": every, "last": last, "probe_strength": strength}
    write_json(folder / RESULT, {**record, **numbers})
    sys.stdout.write(f"{lesson.name}: {_told(last)}, {time.time() - started:.1f} s\n")
    sys.stdout.flush()
    for state in folder.glob(STATE.format("*")):
        state.unlink()


def train_spec_of(plan: RunSpec, bench: RunContext) -> TrainSpec:
    """What the run's student learns; equal seeds see equal orders and crops."""
    images: LabelledImages = plan.source.labelled
    training, seed = bench.training_of(plan), bench.settings.seed
    pictures = None
    if training.augmentation == "pixmix":
        pictures = load_mixing_pictures(training.pixmix, images.size_px, seed=seed)
    embeddings = None if plan.teaching is None else torch.from_numpy(plan.teaching.embeddings)
    if plan.indices is not None:
        images = images.subset(plan.indices)
        embeddings = None if embeddings is None else embeddings[plan.indices]
    return TrainSpec(
        name=f"{bench.record['experiment']} {plan.name}",
        images=images,
        training=training,
        seed=derived_seed(seed, "run", plan.seed),
        scored={name: source.labelled for name, source in bench.scored.items()},
        steps_per_epoch=plan.steps_per_epoch,
        order=plan.mixture,
        embeddings=embeddings,
        pictures=pictures,
        real=bench.real,
    )


def student_of(plan: RunSpec, bench: RunContext) -> nn.Module:
    """A fresh student, with the donor's units in place where there is a donor."""
    settings, training = bench.settings, bench.training_of(plan)
    seed = derived_seed(settings.seed, "run", plan.seed)
    student = plan.course.student if plan.course else settings.student
    model = build_student(student, len(plan.source.images.classes), seed=seed)
    if plan.teaching is not None:
        anchors = torch.from_numpy(plan.teaching.anchors)
        return DistilledStudent(
            model,
            anchors.shape[1],
            anchors=anchors if training.supervision == "embeddings" else None,
            temperature=settings.student.temperature,
            seed=seed,
        )
    if plan.donor is None:
        return model
    weights = load_weights(Path(plan.donor.stem))[0]
    if plan.mode == "finetune":
        copy_prefix(model, weights, plan.depth)
        return model
    return load_frozen_prefix(model, weights, plan.depth, frozen_bn_stats=training.frozen_bn_stats)


def last_epochs(epochs: list[EpochResult], count: int) -> dict[str, dict[str, float | int | str]]:
    """Mean and population std of every metric over the last epochs of one run (MtG 2.1).

    What was measured after the last epoch alone, a probe, has no spread.
    """
    last = [epoch.metrics for epoch in epochs[-count:]]
    values = {
        name: [metrics[name] for metrics in last if name in metrics]
        for name in last[-1]
        if "/" in name
    }
    return {
        name: {
            "mean": float(np.mean(found)),
            "std": float(np.std(found)),
            "n": len(found),
            "over": "epochs",
        }
        for name, found in values.items()
    }


def results(plans: list[RunSpec], bench: RunContext) -> list[dict[str, Any]]:
    """The finished records, in the order of the plans."""
    return [cast("dict[str, Any]", read_json(bench.run_folder(plan) / RESULT)) for plan in plans]


def _train(
    plan: RunSpec, bench: RunContext, lesson: TrainSpec, digest: str
) -> tuple[nn.Module, list[EpochResult], ProbeResult | None]:
    """The student, its epochs, and what a probe said of it after the last one."""
    runtime = bench.settings.runtime
    accelerator = accelerator_of(runtime)
    rows = lesson.batch_size // accelerator.num_processes
    model = split_batch_norm(student_of(plan, bench), runtime, rows)
    phases = plan.course.phases(model, lesson) if plan.course else [Phase(lesson)]
    keeper_of = partial(_keeper, bench.run_folder(plan), runtime)
    epochs: list[EpochResult] = []
    probed = None
    for epoch in fit_phases(model, phases, accelerator, keeper_of):
        epochs.append(epoch)
        if bench.prober is not None and epoch.number == lesson.training.epochs and is_main():
            probed = bench.prober(model, lesson)
            epochs[-1] = replace(epoch, metrics={**epoch.metrics, PROBE: probed.top1})
        metrics = {"epoch": epoch.number, **epochs[-1].metrics}
        bench.log(digest, {"event": "epoch", "metrics": metrics})
    return model, epochs, probed


def _keeper(folder: Path, runtime: Runtime, phase: int) -> Checkpointer:
    """Where a phase keeps its state, and how often."""
    path = folder / STATE.format(phase)
    return Checkpointer(path, runtime.checkpoint_every_epochs, runtime.checkpoint_every_steps)


def _record(plan: RunSpec, bench: RunContext, lesson: TrainSpec) -> dict[str, Any]:
    return {
        "digest": plan.digest(bench.identity),
        **bench.record,
        **plan.coordinates(),
        "num_steps": lesson.num_steps * lesson.training.epochs,
        "peak_lr": lesson.schedule.peak_lr,
        "probe_labels": bench.prober.num_labels if bench.prober else None,
    }


def _keep_student(
    folder: Path, model: nn.Module, plan: RunSpec, bench: RunContext, record: Mapping[str, Any]
) -> None:
    lesson = train_spec_of(plan, bench)
    normalisation = lesson.scoring_normalisation
    about = {
        "run": record["digest"],
        **{key: record[key] for key in ("recipe", "set", "seed", "real_labels")},
        "num_classes": len(plan.source.images.classes),
        "classes": list(plan.source.images.classes),
        "normalisation": {"mean": normalisation.mean, "std": normalisation.std},
        "image_size": lesson.training.global_crops.size,
    }
    save_model(folder / STUDENT, model, about)


def _told(last: Mapping[str, Mapping[str, Any]]) -> str:
    shown = [name for name in ("train/top1", "val/top1", "test/top1", PROBE) if name in last]
    return ", ".join(f"{name} {last[name]['mean']:.1f}" for name in shown)


def _keep_predictions(
    folder: Path, epochs: list[EpochResult], count: int, probed: ProbeResult | None
) -> None:
    if "test" not in epochs[-1].scores:  # a judge is scored on `val` alone
        return
    test = [epoch.scores["test"] for epoch in epochs[-count:]]
    kept = {
        "prediction": test[-1].predictions,
        "confidence": test[-1].confidences,
        "all": np.stack([scores.predictions for scores in test]),
    }
    if probed is not None:
        kept["probe"] = probed.predictions
    with (folder / "predictions.npz").open("wb") as file:
        np.savez(file, allow_pickle=False, **kept)

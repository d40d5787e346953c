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

    def __call__(self, model: nn.Module, train_spec: TrainSpec) -> ProbeResult:
        """Measure one student that was trained by `train_spec`."""


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


def make(plan: RunSpec, run_context: RunContext) -> None:
    """Train one student and leave its result in the run's folder; do nothing if it is there.

    Raises:
        TrainingError: the loss is not finite.
        CheckpointError: the donor does not fit the student.
    """
    folder = run_context.run_folder(plan)
    if (folder / RESULT).is_file():
        return
    started = time.time()
    folder.mkdir(parents=True, exist_ok=True)
    train_spec = train_spec_of(plan, run_context)
    record = _record(plan, run_context, train_spec)
    start = {"run": record, "inputs": run_context.inputs, "params": run_context.identity["params"]}
    run_context.log(record["digest"], {"event": "start", **start})
    try:
        model, epochs, probed = _train(plan, run_context, train_spec, record["digest"])
    except BaseException:
        run_context.log(record["digest"], {"event": "end", "status": "FAILED"})
        raise
    run_context.log(record["digest"], {"event": "end", "status": "FINISHED"})
    if not is_main():
        return
    if run_context.keep_weights:
        _keep_student(folder, model, plan, run_context, record)
    _keep_predictions(folder, epochs, train_spec.training.last_epochs, probed)
    last = last_epochs(epochs, train_spec.training.last_epochs)
    every = [{"epoch": epoch.number, **epoch.metrics} for epoch in epochs]
    strength = probed.strength if probed else None
    numbers = {"epochs": every, "last": last, "probe_strength": strength}
    write_json(folder / RESULT, {**record, **numbers})
    sys.stdout.write(f"{train_spec.name}: {_formatted(last)}, {time.time() - started:.1f} s\n")
    sys.stdout.flush()
    for state in folder.glob(STATE.format("*")):
        state.unlink()


def train_spec_of(plan: RunSpec, run_context: RunContext) -> TrainSpec:
    """What the run's student learns; equal seeds see equal orders and crops."""
    images: LabelledImages = plan.source.labelled
    training, seed = run_context.training_of(plan), run_context.settings.seed
    pictures = None
    if training.augmentation == "pixmix":
        pictures = load_mixing_pictures(training.pixmix, images.size_px, seed=seed)
    embeddings = (
        None if plan.distillation is None else torch.from_numpy(plan.distillation.embeddings)
    )
    if plan.indices is not None:
        images = images.subset(plan.indices)
        embeddings = None if embeddings is None else embeddings[plan.indices]
    return TrainSpec(
        name=f"{run_context.record['experiment']} {plan.name}",
        images=images,
        training=training,
        seed=derived_seed(seed, "run", plan.seed),
        scored={name: source.labelled for name, source in run_context.scored.items()},
        steps_per_epoch=plan.steps_per_epoch,
        order=plan.mixture,
        embeddings=embeddings,
        pictures=pictures,
        real=run_context.real,
    )


def student_of(plan: RunSpec, run_context: RunContext) -> nn.Module:
    """A fresh student, with the donor's units in place where there is a donor."""
    settings, training = run_context.settings, run_context.training_of(plan)
    seed = derived_seed(settings.seed, "run", plan.seed)
    student = plan.method_spec.student if plan.method_spec else settings.student
    model = build_student(student, len(plan.source.images.classes), seed=seed)
    if plan.distillation is not None:
        anchors = torch.from_numpy(plan.distillation.anchors)
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


def results(plans: list[RunSpec], run_context: RunContext) -> list[dict[str, Any]]:
    """The finished records, in the order of the plans."""
    return [
        cast("dict[str, Any]", read_json(run_context.run_folder(plan) / RESULT)) for plan in plans
    ]


def _train(
    plan: RunSpec, run_context: RunContext, train_spec: TrainSpec, digest: str
) -> tuple[nn.Module, list[EpochResult], ProbeResult | None]:
    """The student, its epochs, and what a probe measured after the last one."""
    runtime = run_context.settings.runtime
    accelerator = accelerator_of(runtime)
    rows = train_spec.batch_size // accelerator.num_processes
    model = split_batch_norm(student_of(plan, run_context), runtime, rows)
    phases = plan.method_spec.phases(model, train_spec) if plan.method_spec else [Phase(train_spec)]
    checkpointer_of = partial(_checkpointer, run_context.run_folder(plan), runtime)
    epochs: list[EpochResult] = []
    probed = None
    for epoch in fit_phases(model, phases, accelerator, checkpointer_of):
        epochs.append(epoch)
        if (
            run_context.prober is not None
            and epoch.number == train_spec.training.epochs
            and is_main()
        ):
            probed = run_context.prober(model, train_spec)
            epochs[-1] = replace(epoch, metrics={**epoch.metrics, PROBE: probed.top1})
        metrics = {"epoch": epoch.number, **epochs[-1].metrics}
        run_context.log(digest, {"event": "epoch", "metrics": metrics})
    return model, epochs, probed


def _checkpointer(folder: Path, runtime: Runtime, phase: int) -> Checkpointer:
    """Where a phase keeps its state, and how often."""
    path = folder / STATE.format(phase)
    return Checkpointer(path, runtime.checkpoint_every_epochs, runtime.checkpoint_every_steps)


def _record(plan: RunSpec, run_context: RunContext, train_spec: TrainSpec) -> dict[str, Any]:
    return {
        "digest": plan.digest(run_context.identity),
        **run_context.record,
        **plan.coordinates(),
        "num_steps": train_spec.num_steps * train_spec.training.epochs,
        "peak_lr": train_spec.schedule.peak_lr,
        "probe_labels": run_context.prober.num_labels if run_context.prober else None,
    }


def _keep_student(
    folder: Path,
    model: nn.Module,
    plan: RunSpec,
    run_context: RunContext,
    record: Mapping[str, Any],
) -> None:
    train_spec = train_spec_of(plan, run_context)
    normalisation = train_spec.scoring_normalisation
    about = {
        "run": record["digest"],
        **{key: record[key] for key in ("recipe", "set", "seed", "real_labels")},
        "num_classes": len(plan.source.images.classes),
        "classes": list(plan.source.images.classes),
        "normalisation": {"mean": normalisation.mean, "std": normalisation.std},
        "image_size": train_spec.training.global_crops.size,
    }
    save_model(folder / STUDENT, model, about)


def _formatted(last: Mapping[str, Mapping[str, Any]]) -> str:
    names = [name for name in ("train/top1", "val/top1", "test/top1", PROBE) if name in last]
    return ", ".join(f"{name} {last[name]['mean']:.1f}" for name in names)


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

"""A judge of synthetic images: the student's network trained on real ones, or a pinned network.

It comes before the gate, as the generator does, and is scored on `val` alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from synthgap.data import ImageSet
from synthgap.errors import DataError
from synthgap.experiments.runs.cell import cell_record, save_samples
from synthgap.experiments.runs.run import STUDENT, RunContext, results, train_spec_of
from synthgap.experiments.runs.run import make as make_run
from synthgap.experiments.runs.sources import Source, read_source
from synthgap.experiments.runs.spec import RunSettings, RunSpec
from synthgap.jobs import Artifacts, Log, environment, file_digest, silent
from synthgap.jobs.device import device_name, device_of
from synthgap.jobs.distributed import accelerator_of
from synthgap.jobs.launching import is_launched, is_main
from synthgap.jobs.once import make_once
from synthgap.models.build import build_student
from synthgap.models.checkpoint import (
    load_strict,
    load_weights,
    read_safetensors,
    weights_file,
)
from synthgap.models.initial_weights import initial_weights_file
from synthgap.models.judge import (
    JudgeCapabilities,
    JudgePreprocessing,
    normalisation_of,
    save_judge,
)
from synthgap.params.sections import Data, Judge, Runtime, Student, Train, Training
from synthgap.seeding import derived_seed

SELECTS = "val"


@dataclass(frozen=True)
class JudgeParams:
    """What stage `judge` reads of params.yaml."""

    seed: int
    runtime: Runtime
    data: Data
    student: Student
    training: Training
    judge: Judge


def make_judge(params: JudgeParams, artifacts: Artifacts, log: Log) -> None:
    """Write the judge's weights, description and run.json.

    A killed training goes on where its state was last kept.

    Raises:
        SynthgapError: there is nothing to learn from, the training cannot go on, or the pinned
            weights are not those of the network and the dataset's classes.
    """
    torch.set_num_threads(params.runtime.threads)
    if is_launched():
        accelerator_of(params.runtime)  # joins the other processes
    run_context = _run_context(params, artifacts, log if is_main() else silent)
    identity = {**run_context.identity, "inputs": run_context.inputs}

    def make(folder: Path, finished: Path) -> dict[str, Any]:
        within = replace(run_context, folder=folder)
        if params.judge.pin is None:
            runs = _trained(params, artifacts, within, finished)
        else:
            runs = []
            _keep_pinned(params, artifacts, finished)
        return cell_record(within, runs, units=[])

    make_once(artifacts, identity, artifacts.stage("judge"), make, stage="judge")


def _run_context(params: JudgeParams, artifacts: Artifacts, log: Log) -> RunContext:
    """What the one run is made with; `val` is the only set that is looked at besides its own."""
    settings = RunSettings(
        seed=derived_seed(params.seed, "judge"),
        runtime=params.runtime,
        data=params.data,
        student=params.student,
        training=params.training,
        train=Train((params.judge.seed,), probe_images=0),
    )
    scored = {}
    if params.judge.pin is None:
        source = _source(params, artifacts, SELECTS)
        scored = {SELECTS: source} if len(source.images) else {}
    return RunContext(
        settings=settings,
        identity=_identity(params, artifacts.recipe),
        record={
            "experiment": "judge",
            "recipe": artifacts.recipe,
            "student": params.student.model,
        },
        inputs=_inputs(params, artifacts),
        scored=scored,
        folder=artifacts.work,
        log=log,
        keep_weights=True,
    )


def _source(params: JudgeParams, artifacts: Artifacts, name: str) -> Source:
    """A real set in memory, which the gate has not seen yet."""
    return read_source(artifacts, artifacts.image_set(name), name, params.data.image_size)


def _identity(params: JudgeParams, recipe: str) -> dict[str, Any]:
    """What determines the judge besides its inputs."""
    name = device_name(device_of(params.runtime))
    return {
        "experiment": "judge",
        "recipe": recipe,
        "params": {
            "seed": params.seed,
            "image_size": params.data.image_size,
            "student": asdict(params.student),
            "training": asdict(params.training),
            "judge": asdict(params.judge),
        },
        "environment": {
            **environment(threads=params.runtime.threads, device=name),
            "precision": params.runtime.precision,
            "processes": params.runtime.processes,
        },
    }


def _inputs(params: JudgeParams, artifacts: Artifacts) -> dict[str, str]:
    """Digest of everything that is read, by its path."""
    names = (params.judge.learns_from,) if params.judge.pin else (params.judge.learns_from, SELECTS)
    inputs = {}
    for name in names:
        folder = artifacts.image_set(name)
        inputs[folder.relative_to(artifacts.root).as_posix()] = ImageSet.read(folder).digest
    start = _weights_file(params, artifacts)
    if start is not None:
        inputs[f"weights/{start.name}"] = file_digest(start)
    return dict(sorted(inputs.items()))


def _weights_file(params: JudgeParams, artifacts: Artifacts) -> Path | None:
    """What the judge is, or starts from.

    Raises:
        SynthgapError: it is not there.
    """
    pin = params.judge.pin
    if pin is None:
        return initial_weights_file(params.student)
    return weights_file(pin.weights, root=artifacts.root, place="params.yaml, judge.pin.weights")


def _trained(
    params: JudgeParams, artifacts: Artifacts, run_context: RunContext, finished: Path
) -> list[dict[str, Any]]:
    """Train the judge, keep it, and return its run."""
    source = _source(params, artifacts, params.judge.learns_from)
    if not len(source.images):
        raise DataError(
            f"{source.images.root}: no images, expected some for the judge to learn from; set "
            "judge.learns_from: train (or data.splits.corpus)"
        )
    seed = params.judge.seed
    plan = RunSpec(name=f"{source.name} s{seed}", seed=seed, source=source)
    make_run(plan, run_context)
    if is_main():
        run = results([plan], run_context)[0]
        state, kept = load_weights(run_context.run_folder(plan) / STUDENT)
        known = kept["normalisation"]
        preprocessing = JudgePreprocessing(
            stored_px=params.data.image_size,
            size_px=kept["image_size"],
            mean=tuple(known["mean"]),
            std=tuple(known["std"]),
        )
        classes, num_real = source.images.classes, plan.num_real
        capabilities = JudgeCapabilities(params.student, preprocessing, classes, num_real)
        save_judge(finished, state, capabilities)
        save_samples(finished / "samples.png", train_spec_of(plan, run_context))
        return [run]
    return []


def _keep_pinned(params: JudgeParams, artifacts: Artifacts, finished: Path) -> None:
    """Keep a network made elsewhere, seen as students are scored.

    Raises:
        SynthgapError: the weights are not of that network with the dataset's classes.
    """
    pin = params.judge.pin
    assert pin is not None
    classes = ImageSet.read(artifacts.image_set(params.judge.learns_from)).classes
    student = Student(
        model=pin.model,
        options={},
        stem="imagenet",
        init="random",
        weights=None,
        head="linear",
        temperature=1.0,
    )
    network = build_student(student, len(classes), seed=0, place="params.yaml, judge.pin")
    path = _weights_file(params, artifacts)
    assert path is not None
    state = read_safetensors(path)
    load_strict(network, state, place=f"{path} (judge.pin, {pin.model}, {len(classes)} classes)")
    preprocessing = JudgePreprocessing(
        params.data.image_size, params.training.global_crops.size, *normalisation_of(network)
    )
    save_judge(finished, state, JudgeCapabilities(student, preprocessing, classes, None))

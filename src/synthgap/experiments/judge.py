"""A judge of synthetic images: the student's network trained on real ones, or a pinned network.

It comes before the gate, as the generator does, and is scored on `val` alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from synthgap.data import ImageSet
from synthgap.errors import DataError, ParamsError
from synthgap.experiments.runs.cell import save_samples
from synthgap.experiments.runs.run import STUDENT, RunContext, make, results, train_spec_of
from synthgap.experiments.runs.sources import Source, read_source
from synthgap.experiments.runs.spec import RunSettings, RunSpec
from synthgap.jobs import Artifacts, Log, environment, file_digest, silent, write_json
from synthgap.jobs.device import device_name, device_of
from synthgap.jobs.distributed import accelerator_of, hold_distributed
from synthgap.jobs.launching import is_launched, is_main
from synthgap.models.build import build_student
from synthgap.models.checkpoint import load_weights
from synthgap.models.initial_weights import initial_weights_file
from synthgap.models.judge import (
    JudgeCapabilities,
    JudgePreprocessing,
    load_strict,
    normalisation_of,
    read_safetensors,
    save_judge,
)
from synthgap.params.sections import Data, Judge, Runtime, Student, Train, Training
from synthgap.seeding import derived_seed

SELECTS = "val"
FINISHED, RUN = "finished", "run.json"


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
    accelerator = accelerator_of(params.runtime) if is_launched() else None
    run_context = _bench(params, artifacts, log if is_main() else silent)
    claim = {**run_context.identity, "inputs": run_context.inputs}
    output = artifacts.stage("judge")
    with hold_distributed(artifacts.work, claim, output, stage="judge") as work:
        if work.finished:
            return
        run_context, finished = replace(run_context, folder=work.folder), work.folder / FINISHED
        if params.judge.pin is None:
            runs = _learned(params, artifacts, run_context, finished)
        else:
            runs = []
            _keep_pinned(params, artifacts, finished)
        if is_main():
            write_json(finished / RUN, _about(run_context, runs))
            work.publish(finished)
        if accelerator is not None:
            accelerator.wait_for_everyone()


def _bench(params: JudgeParams, artifacts: Artifacts, log: Log) -> RunContext:
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
    path = artifacts.root / Path(pin.weights).expanduser()
    if not path.is_file() or path.suffix != ".safetensors":
        raise ParamsError(
            f"params.yaml, judge.pin.weights: {pin.weights}, expected a .safetensors file that is "
            "there; correct the path"
        )
    return path


def _learned(
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
    make(plan, run_context)
    if is_main():
        run = results([plan], run_context)[0]
        state, kept = load_weights(run_context.run_folder(plan) / STUDENT)
        known = kept["normalisation"]
        eye = JudgePreprocessing(
            stored_px=params.data.image_size,
            size_px=kept["image_size"],
            mean=tuple(known["mean"]),
            std=tuple(known["std"]),
        )
        nature = JudgeCapabilities(
            params.student, eye, source.images.classes, real_labels=plan.num_real
        )
        save_judge(finished, state, nature)
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
    eye = JudgePreprocessing(
        params.data.image_size, params.training.global_crops.size, *normalisation_of(network)
    )
    save_judge(finished, state, JudgeCapabilities(student, eye, classes, real_labels=None))


def _about(run_context: RunContext, runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schema": 1,
        "experiment": "judge",
        "recipe": run_context.record["recipe"],
        "inputs": dict(run_context.inputs),
        "environment": run_context.identity["environment"],
        "params": run_context.identity["params"],
        "units": [],
        "runs": runs,
    }

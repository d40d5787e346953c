"""Reference networks that guidance methods answer to: self-supervised on `corpus`, or pinned.

No label reaches their training; `corpus` is what the generator has seen, so a reference knows
no image that the generator did not.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from synthgap.data import ImageSet
from synthgap.errors import ParamsError
from synthgap.experiments.references.pretraining import Pretraining
from synthgap.experiments.runs.cell import save_samples
from synthgap.experiments.runs.run import last_epochs
from synthgap.experiments.runs.sources import CORPUS, Source
from synthgap.experiments.runs.spec import RunSpec
from synthgap.jobs import Artifacts, Log, file_digest, silent
from synthgap.jobs.distributed import accelerator_of, split_batch_norm
from synthgap.jobs.launching import is_launched, is_main
from synthgap.jobs.once import make_once
from synthgap.jobs.recording import machine_of, record, run_logged
from synthgap.models.reference import ReferenceOrigin, pinned_reference, save_reference
from synthgap.params.references import Reference
from synthgap.params.sections import Data, Runtime, Student, Training
from synthgap.seeding import derived_seed
from synthgap.training.checkpointing import Checkpointer, EpochResult
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.loop import fit

NAME = "references"
STATE = "state.pt"


@dataclass(frozen=True)
class ReferencesParams:
    """What stage `references` reads of params.yaml."""

    seed: int
    runtime: Runtime
    data: Data
    student: Student
    training: Training
    references: dict[str, Reference]


@dataclass(frozen=True)
class _ReferenceRequest:
    """The one reference that is made, and where."""

    name: str
    params: ReferencesParams
    artifacts: Artifacts
    log: Log

    @property
    def reference(self) -> Reference:
        return self.params.references[self.name]

    @property
    def output(self) -> Path:
        return self.artifacts.stage(NAME) / self.name


def make_reference(params: ReferencesParams, artifacts: Artifacts, log: Log, *, name: str) -> None:
    """Write a reference's weights.safetensors, weights.json and run.json.

    A killed training goes on where its state was last kept.

    Raises:
        SynthgapError: there is no such reference, there are no images, the training cannot go on,
            or the pinned weights are not those of the network.
    """
    if name not in params.references:
        known = ", ".join(params.references)
        raise ParamsError(f"params.yaml, references: no {name!r}, expected one of {known}")
    torch.set_num_threads(params.runtime.threads)
    if is_launched():
        accelerator_of(params.runtime)  # joins the other processes
    request = _ReferenceRequest(name, params, artifacts, log if is_main() else silent)
    if request.reference.kind == "pin":
        _pin(request)
    else:
        _train(request)


def _pin(request: _ReferenceRequest) -> None:
    """Keep a network made elsewhere, with the classifier that it came with."""
    pin = request.reference.pin
    assert pin is not None
    place = f"params.yaml, references.{request.name}.pin"
    state, network, preprocessing, path = pinned_reference(
        pin, root=request.artifacts.root, place=place
    )
    begun = _record(request, {}, {f"weights/{path.name}": file_digest(path)})

    def make(_: Path, finished: Path) -> dict[str, Any]:
        if is_main():
            origin = ReferenceOrigin.elsewhere()
            save_reference(finished, state, network, preprocessing, origin)
        return {**begun, "runs": []}

    make_once(request.artifacts, begun, request.output, make, stage=NAME)


def _train(request: _ReferenceRequest) -> None:
    """Train a network on images whose labels it is not shown."""
    source = _source(request)
    pretraining = _pretraining(request, source)
    folder = source.images.root.relative_to(request.artifacts.root)
    network, training = pretraining.network, pretraining.train_spec.training
    sections = {
        "student": {"model": network.model, "options": dict(network.options), "stem": network.stem},
        "training": asdict(training),
    }
    begun = _record(request, sections, {folder.as_posix(): source.images.digest})

    def make(folder: Path, finished: Path) -> dict[str, Any]:
        run = _run(request, pretraining, source, begun)
        trained, epochs = _trained(request, pretraining, folder, {**begun, "run": run})
        if is_main():
            origin, state = pretraining.origin, trained.state_dict()
            save_reference(finished, state, network, pretraining.preprocessing, origin)
            save_samples(finished / "samples.png", pretraining.train_spec)
        return {**begun, "runs": [{**run, **_numbers(epochs, training.last_epochs)}]}

    make_once(request.artifacts, begun, request.output, make, stage=NAME)


def _source(request: _ReferenceRequest) -> Source:
    """Images of `corpus`, which the gate has not seen yet."""
    images = ImageSet.read(request.artifacts.image_set(CORPUS))
    store = request.artifacts.root / ".synthgap" / "packed"
    pixels = images.pixels(request.params.data.image_size, store=store)
    return Source(CORPUS, images, LabelledImages.of(pixels, images.labels))


def _pretraining(request: _ReferenceRequest, source: Source) -> Pretraining:
    params, pretext = request.params, request.reference.pretext
    assert pretext is not None
    seed = derived_seed(params.seed, NAME, request.name, pretext.seed)
    made = Pretraining.of(pretext, params.student, params.training, source)
    return made.named(f"{NAME} {request.name}", seed)


def _trained(
    request: _ReferenceRequest, pretraining: Pretraining, folder: Path, begun: Mapping[str, Any]
) -> tuple[nn.Module, list[EpochResult]]:
    """The network and its epochs, logged as they come, from where a killed training stopped."""
    runtime, train_spec = request.params.runtime, pretraining.train_spec
    accelerator, start = accelerator_of(runtime), time.time()
    network = pretraining.network.built(
        seed=train_spec.seed, place=f"params.yaml, references.{request.name}"
    )
    rows = train_spec.batch_size // accelerator.num_processes
    network = split_batch_norm(network, runtime, rows)
    checkpointer = Checkpointer(
        folder / STATE, runtime.checkpoint_every_epochs, runtime.checkpoint_every_steps
    )
    epochs: list[EpochResult] = []

    def metrics() -> Iterator[dict[str, float]]:
        train_step = pretraining.train_step
        for epoch in fit(network, train_spec, accelerator, checkpointer, train_step=train_step):
            epochs.append(epoch)
            yield {"epoch": epoch.number, **epoch.metrics}

    run_logged(begun["run"], begun, metrics(), request.log)
    if is_main():
        task, top1 = pretraining.pretext.task, epochs[-1].metrics["train/top1"]
        seconds = time.time() - start
        sys.stdout.write(f"{train_spec.name}: {task} {top1:.1f} %, {seconds:.1f} s\n")
        sys.stdout.flush()
    return network, epochs


def _numbers(epochs: list[EpochResult], count: int) -> dict[str, Any]:
    """What the record says of the epochs."""
    every = [{"epoch": epoch.number, **epoch.metrics} for epoch in epochs]
    return {"epochs": every, "last": last_epochs(epochs, count), "probe_strength": None}


def _record(
    request: _ReferenceRequest, sections: Mapping[str, Any], inputs: Mapping[str, str]
) -> dict[str, Any]:
    """All that determines the reference, as run.json begins."""
    params, runtime = request.params, request.params.runtime
    own = {"name": request.name, **asdict(request.reference)}
    return record(
        NAME,
        request.artifacts,
        inputs=inputs,
        params={
            "seed": params.seed,
            "image_size": params.data.image_size,
            **sections,
            "reference": own,
        },
        machine={
            **machine_of(runtime, runtime.threads),
            "precision": runtime.precision,
            "processes": runtime.processes,
        },
    )


def _run(
    request: _ReferenceRequest, pretraining: Pretraining, source: Source, begun: Mapping[str, Any]
) -> dict[str, Any]:
    """The run's own line, before there are numbers."""
    train_spec, pretext = pretraining.train_spec, pretraining.pretext
    plan = RunSpec(name=request.name, seed=pretext.seed, source=source)
    return {
        "digest": plan.digest(begun),
        "experiment": NAME,
        "recipe": request.artifacts.recipe,
        "student": pretraining.network.model,
        **plan.coordinates(),
        "real_labels": {"generator": 0, "donor": 0, "student": 0},
        "variant": pretext.task,
        "num_steps": train_spec.num_steps * train_spec.training.epochs,
        "peak_lr": train_spec.schedule.peak_lr,
        "probe_labels": None,
    }

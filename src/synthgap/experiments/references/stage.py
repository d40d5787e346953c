"""Reference networks that guidance methods answer to: self-supervised on `corpus`, or pinned.

No label reaches their training; `corpus` is what the generator has seen, so a reference knows
no image that the generator did not.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
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
from synthgap.jobs import Artifacts, Log, Work, environment, file_digest, silent, write_json
from synthgap.jobs.device import device_name, device_of
from synthgap.jobs.distributed import accelerator_of, hold_distributed, split_batch_norm
from synthgap.jobs.launching import is_launched, is_main
from synthgap.models.reference import ReferenceOrigin, pinned_reference, save_reference
from synthgap.params.references import Reference
from synthgap.params.sections import Data, Runtime, Student, Training
from synthgap.seeding import derived_seed
from synthgap.training.checkpointing import Checkpointer, EpochResult
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.loop import fit

NAME = "references"
FINISHED, RUN, STATE = "finished", "run.json", "state.pt"


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
    """Write a reference's weights.safetensors, about.json and run.json.

    A killed training goes on where its state was last kept.

    Raises:
        SynthgapError: there is no such reference, there are no images, the training cannot go on,
            or the pinned weights are not those of the network.
    """
    if name not in params.references:
        known = ", ".join(params.references)
        raise ParamsError(f"params.yaml, references: no {name!r}, expected one of {known}")
    torch.set_num_threads(params.runtime.threads)
    accelerator = accelerator_of(params.runtime) if is_launched() else None
    asked = _ReferenceRequest(name, params, artifacts, log if is_main() else silent)
    if asked.reference.kind == "pin":
        _pin(asked)
    else:
        _learn(asked)
    if accelerator is not None:
        accelerator.wait_for_everyone()


def _pin(asked: _ReferenceRequest) -> None:
    """Keep a network made elsewhere, with the classifier that it came with."""
    pin = asked.reference.pin
    assert pin is not None
    place = f"params.yaml, references.{asked.name}.pin"
    state, shape, sight, path = pinned_reference(pin, root=asked.artifacts.root, place=place)
    about = _about(asked, {}, {f"weights/{path.name}": file_digest(path)})
    with _held(asked, about) as work:
        if not work.finished and is_main():
            finished = work.folder / FINISHED
            save_reference(finished, state, shape, sight, ReferenceOrigin.elsewhere())
            write_json(finished / RUN, {**about, "runs": []})
            work.publish(finished)


def _learn(asked: _ReferenceRequest) -> None:
    """Train a network on images whose labels it is not shown."""
    source = _source(asked)
    pretraining = _pretraining(asked, source)
    folder = source.images.root.relative_to(asked.artifacts.root)
    shape, training = pretraining.shape, pretraining.train_spec.training
    sections = {
        "student": {"model": shape.model, "options": dict(shape.options), "stem": shape.stem},
        "training": asdict(training),
    }
    about = _about(asked, sections, {folder.as_posix(): source.images.digest})
    with _held(asked, about) as work:
        if work.finished:
            return
        record = _record(asked, pretraining, source, about)
        network, epochs = _trained(asked, pretraining, work, {**about, "run": record})
        if is_main():
            finished = work.folder / FINISHED
            state = network.state_dict()
            save_reference(finished, state, shape, pretraining.sight, pretraining.origin)
            save_samples(finished / "samples.png", pretraining.train_spec)
            run = {**record, **_numbers(epochs, training.last_epochs)}
            write_json(finished / RUN, {**about, "runs": [run]})
            work.publish(finished)


def _source(asked: _ReferenceRequest) -> Source:
    """Images of `corpus`, which the gate has not seen yet."""
    images = ImageSet.read(asked.artifacts.image_set(CORPUS))
    store = asked.artifacts.root / ".synthgap" / "packed"
    pixels = images.pixels(asked.params.data.image_size, store=store)
    return Source(CORPUS, images, LabelledImages.of(pixels, images.labels))


def _pretraining(asked: _ReferenceRequest, source: Source) -> Pretraining:
    params, pretext = asked.params, asked.reference.pretext
    assert pretext is not None
    seed = derived_seed(params.seed, NAME, asked.name, pretext.seed)
    made = Pretraining.of(pretext, params.student, params.training, source)
    return made.named(f"{NAME} {asked.name}", seed)


def _trained(
    asked: _ReferenceRequest, pretraining: Pretraining, work: Work, start: Mapping[str, Any]
) -> tuple[nn.Module, list[EpochResult]]:
    """The network and its epochs, told as they come, from where a killed training stopped."""
    runtime, train_spec = asked.params.runtime, pretraining.train_spec
    accelerator, began = accelerator_of(runtime), time.time()
    network = pretraining.shape.built(
        seed=train_spec.seed, place=f"params.yaml, references.{asked.name}"
    )
    rows = train_spec.batch_size // accelerator.num_processes
    network = split_batch_norm(network, runtime, rows)
    state = work.folder / STATE
    checkpointer = Checkpointer(
        state, runtime.checkpoint_every_epochs, runtime.checkpoint_every_steps
    )
    digest, epochs = start["run"]["digest"], []
    told = {name: start[name] for name in ("run", "inputs", "params")}
    asked.log(digest, {"event": "start", **told})
    try:
        for epoch in fit(
            network, train_spec, accelerator, checkpointer, train_step=pretraining.train_step
        ):
            epochs.append(epoch)
            metrics = {"epoch": epoch.number, **epoch.metrics}
            asked.log(digest, {"event": "epoch", "metrics": metrics})
    except BaseException:
        asked.log(digest, {"event": "end", "status": "FAILED"})
        raise
    asked.log(digest, {"event": "end", "status": "FINISHED"})
    if is_main():
        task, top1 = pretraining.pretext.task, epochs[-1].metrics["train/top1"]
        seconds = time.time() - began
        sys.stdout.write(f"{train_spec.name}: {task} {top1:.1f} %, {seconds:.1f} s\n")
        sys.stdout.flush()
    return network, epochs


def _numbers(epochs: list[EpochResult], count: int) -> dict[str, Any]:
    """What the record says of the epochs."""
    every = [{"epoch": epoch.number, **epoch.metrics} for epoch in epochs]
    return {"epochs": every, "last": last_epochs(epochs, count), "probe_strength": None}


def _about(
    asked: _ReferenceRequest, sections: Mapping[str, Any], inputs: Mapping[str, str]
) -> dict[str, Any]:
    """What run.json says besides its run; it determines the reference, with the code."""
    params = asked.params
    name = device_name(device_of(params.runtime))
    return {
        "schema": 1,
        "experiment": NAME,
        "recipe": asked.artifacts.recipe,
        "inputs": dict(inputs),
        "environment": {
            **environment(threads=params.runtime.threads, device=name),
            "precision": params.runtime.precision,
            "processes": params.runtime.processes,
        },
        "params": {
            "seed": params.seed,
            "image_size": params.data.image_size,
            **sections,
            "reference": {"name": asked.name, **asdict(asked.reference)},
        },
        "units": [],
    }


def _held(asked: _ReferenceRequest, about: Mapping[str, Any]) -> AbstractContextManager[Work]:
    return hold_distributed(asked.artifacts.work, about, asked.output, stage=NAME)


def _record(
    asked: _ReferenceRequest, pretraining: Pretraining, source: Source, about: Mapping[str, Any]
) -> dict[str, Any]:
    """The run's own line, before there are numbers."""
    train_spec, pretext = pretraining.train_spec, pretraining.pretext
    plan = RunSpec(name=asked.name, seed=pretext.seed, source=source)
    return {
        "digest": plan.digest(about),
        "experiment": NAME,
        "recipe": asked.artifacts.recipe,
        "student": pretraining.shape.model,
        **plan.coordinates(),
        "real_labels": {"generator": 0, "donor": 0, "student": 0},
        "variant": pretext.task,
        "num_steps": train_spec.num_steps * train_spec.training.epochs,
        "peak_lr": train_spec.schedule.peak_lr,
        "probe_labels": None,
    }

"""Stage `oracle`: a synthetic image for every real training image, prompted by its embedding."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synthgap.data.image_set import ImageSet
from synthgap.errors import GeneratorError
from synthgap.generation.derived.image_prompted_set import NAME, PromptedSet, sample_prompted
from synthgap.generation.pipelines.provenance import (
    PROVENANCE,
    Provenance,
    locate,
    pin,
    pipeline_class,
    pipeline_digest,
)
from synthgap.generation.trainers.clip_networks import resemblance
from synthgap.jobs import Artifacts, Log, hold, publish, read_json, write_json
from synthgap.jobs.recording import machine_of, record, run_logged, run_of
from synthgap.models.clip import teacher_folder
from synthgap.params.reading import section_dict
from synthgap.params.sections import Data, Oracle, Runtime
from synthgap.seeding import derived_seed

CHECKPOINT_EVERY_STEPS = 100
PIPELINE_CLASS = "StableUnCLIPImg2ImgPipeline"
RUN = "run.json"


@dataclass(frozen=True)
class OracleParams:
    """What stage `oracle` reads of params.yaml; of `runtime` only device and precision."""

    seed: int
    runtime: Runtime
    data: Data
    oracle: Oracle


@dataclass(frozen=True)
class _OracleRun:
    params: OracleParams
    artifacts: Artifacts
    train: ImageSet
    known: dict[str, Any]  # as run.json begins
    work: Path

    @property
    def pipeline(self) -> Path:
        """Where a pipeline that is trained here lies until the set is whole."""
        return self.work / "pipeline"


def make_oracle(params: OracleParams, artifacts: Artifacts, log: Log) -> None:
    """Write image set `oracle` and the pipeline folder that it was sampled from, or its pin.

    The set has one image for each of `train`, whose path is its prompt and whose class it takes
    over. Image k depends on seed, k and its own prompt alone. A killed run goes on from its last
    checkpoint or with its next image, and ends with the same bytes. run.json tells how much the
    images resemble their prompts.

    Raises:
        GeneratorError: generator, teacher or pin is missing, changed or of the wrong kind.
        DataError: `train` or `corpus` is missing or damaged.
        WorkError: another process is still making it.
    """
    from synthgap.jobs.device import torch_threads

    train = ImageSet.read(artifacts.image_set("train"))
    known = _record(params, artifacts)
    identity = {**known, "prompts": train.digest}
    output, kept = artifacts.image_set(NAME), artifacts.stage(NAME)
    with (
        hold(artifacts.work, identity, output, stage=NAME) as work,
        torch_threads(params.oracle.threads),
    ):
        if work.finished and (kept / PROVENANCE).is_file():
            return
        job = _OracleRun(params, artifacts, train, known, work.folder)
        folder, source = _pinned(job) if params.oracle.pin else _trained(job, log)
        started = time.time()
        prompted = PromptedSet(
            params.seed, params.runtime, params.data, params.oracle, train, folder, source
        )
        finished = sample_prompted(prompted, work.folder / "images")
        times = {"name": NAME, "start": started, "end": time.time()}
        write_json(artifacts.times / "sampling" / f"{artifacts.recipe}-{NAME}.json", times)
        _tell_resemblance(job, finished)
        publish(job.pipeline, kept)
        work.publish(finished)


def _record(params: OracleParams, artifacts: Artifacts) -> dict[str, Any]:
    """All that determines the pipeline's bytes, as run.json begins."""
    corpus = ImageSet.read(artifacts.image_set("corpus"))
    settings: dict[str, Any] = {
        "seed": params.seed,
        "image_size": params.data.image_size,
        "encoding": params.data.encoding,
        "precision": params.runtime.precision,
        "oracle": section_dict(params.oracle),
        "teacher": teacher_folder(artifacts.stage("teacher"), root=artifacts.root)[1],
    }
    if params.oracle.pin is None:
        settings["generator"] = Provenance.read(artifacts).sha256
    return record(
        NAME,
        artifacts,
        inputs=corpus.as_input(artifacts.root),
        params=settings,
        machine=machine_of(params.runtime, params.oracle.threads),
    )


def _pinned(job: _OracleRun) -> tuple[Path, Provenance]:
    """Folder and provenance of the declared pipeline, which is recorded in the work folder."""
    declared = job.params.oracle.pin
    assert declared is not None
    found = pin(declared, root=job.artifacts.root, place="oracle.pin")
    folder = locate(found, job.artifacts, NAME)
    if pipeline_class(folder) != PIPELINE_CLASS:
        raise GeneratorError(
            f"{folder}: a {pipeline_class(folder)}, expected a {PIPELINE_CLASS}, which images can "
            "prompt; correct oracle.pin.location"
        )
    write_json(job.pipeline / RUN, {**job.known, "runs": []})
    found.write(job.pipeline)
    return folder, found


def _trained(job: _OracleRun, log: Log) -> tuple[Path, Provenance]:
    """Folder and provenance of the pipeline that is trained here, or was before a kill."""
    corpus = ImageSet.read(job.artifacts.image_set("corpus"))
    made = Provenance(
        kind="train",
        location=None,
        revision=None,
        sha256="",
        classes=corpus.classes,
        real_labels=len(corpus),
        training_set=corpus.digest,
    )
    if not (job.pipeline / PROVENANCE).is_file():  # written last
        shutil.rmtree(job.pipeline, ignore_errors=True)
        steps = job.params.oracle.steps
        run = run_of(job.known, num_images=len(corpus), num_steps=steps)
        epochs = run_logged(run, job.known, _learn(job, corpus), log)
        runs = [{**run, "epochs": epochs, "last": {}}]
        write_json(job.pipeline / RUN, {**job.known, "runs": runs})
        replace(made, sha256=pipeline_digest(job.pipeline)).write(job.pipeline)
    return job.pipeline, replace(made, sha256=pipeline_digest(job.pipeline))


def _learn(job: _OracleRun, corpus: ImageSet) -> Iterator[dict[str, float]]:
    """Fine-tune the UNet and save the pipeline, yielding records of the loss."""
    import torch

    from synthgap.generation.pipelines.opening import open_pipeline
    from synthgap.generation.trainers import unclip
    from synthgap.generation.trainers.diffusion_losses import encode
    from synthgap.generation.trainers.training_loop import OptimConfig, phase
    from synthgap.jobs.device import accelerator_for, seeded_weights
    from synthgap.models.clip import open_clip_model

    params, settings = job.params, job.params.oracle
    seed = derived_seed(params.seed, NAME)
    machine = accelerator_for(params.runtime)
    whole = replace(params.runtime, precision="fp32")  # weights; what computes is the machine's
    source = Provenance.read(job.artifacts)
    generator = open_pipeline(locate(source, job.artifacts), whole)
    folder, _ = teacher_folder(job.artifacts.stage("teacher"), root=job.artifacts.root)
    teacher = open_clip_model(folder, machine.device)
    pixels = corpus.pixels(params.data.image_size)
    embeddings = torch.from_numpy(teacher.embed_images(pixels)).to(machine.device)
    with seeded_weights(derived_seed(seed, "weights")):
        pipeline = unclip.build_unclip(generator, teacher, embeddings.cpu()).to(machine.device)
    latents = encode(pipeline.vae, pixels)
    course = OptimConfig(
        name=NAME,
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        ema_decay=0.0,
        checkpoint=job.work / "oracle.pt",
        checkpoint_every_steps=CHECKPOINT_EVERY_STEPS,
    )
    loss_at = unclip.prompted_loss(pipeline, latents, embeddings, settings, seed=seed)
    yield from phase(course, pipeline.unet, loss_at, machine)
    unclip.save_unclip(job.pipeline, pipeline.to("cpu"))


def _tell_resemblance(job: _OracleRun, finished: Path) -> None:
    """Add to run.json how much the images resemble their prompts."""
    from synthgap.jobs.device import device_of
    from synthgap.models.clip import open_clip_model

    folder, _ = teacher_folder(job.artifacts.stage("teacher"), root=job.artifacts.root)
    teacher = open_clip_model(folder, device_of(job.params.runtime))
    found = resemblance(teacher, ImageSet.read(finished), job.train, job.params.data.image_size)
    run = job.pipeline / RUN
    write_json(run, {**read_json(run), "resemblance": found})

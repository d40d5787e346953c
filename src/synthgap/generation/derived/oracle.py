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
from synthgap.generation.derived.oracle_set import NAME, OracleParams, OracleSet
from synthgap.generation.pipelines.provenance import (
    PROVENANCE,
    Provenance,
    locate,
    pin,
    pipeline_class,
    pipeline_digest,
)
from synthgap.generation.synthesis.sampling import sample_set
from synthgap.generation.trainers.clip_networks import resemblance
from synthgap.jobs import Artifacts, Log, read_json, write_json
from synthgap.jobs.once import RUN, make_once
from synthgap.jobs.recording import machine_of, record, run_logged, run_of
from synthgap.models.clip import teacher_folder
from synthgap.params.reading import section_dict
from synthgap.seeding import derived_seed

CHECKPOINT_EVERY_STEPS = 100
PIPELINE_CLASS = "StableUnCLIPImg2ImgPipeline"
PIPELINE = "pipeline"


@dataclass(frozen=True)
class _OracleRun:
    params: OracleParams
    artifacts: Artifacts
    train: ImageSet
    record: dict[str, Any]  # as run.json begins
    folder: Path  # for work in progress

    @property
    def pipeline(self) -> Path:
        """Where a pipeline that is trained here lies until the set is whole."""
        return self.folder / PIPELINE


def make_oracle(params: OracleParams, artifacts: Artifacts, log: Log) -> None:
    """Write image set `oracle` and the pipeline folder that it was sampled from, or its pin.

    The set has one image for each of `train`, whose path is its prompt and whose class it takes
    over. Image k depends on seed, k and its own prompt alone. A killed run goes on from its last
    checkpoint or behind its last batch, and ends with the same bytes. run.json tells how much the
    images resemble their prompts.

    Raises:
        GeneratorError: generator, teacher or pin is missing, changed or of the wrong kind.
        DataError: `train` or `corpus` is missing or damaged.
        WorkError: another process is still making it.
    """
    train = ImageSet.read(artifacts.image_set("train"))
    begun = _record(params, artifacts)

    def make(folder: Path, finished: Path) -> None:
        run = _OracleRun(params, artifacts, train, begun, folder)
        pipeline, source = _pinned(run) if params.oracle.pin else _trained(run, log)
        oracle_set = OracleSet(params, artifacts.recipe, train, pipeline, source)
        started = time.time()
        sample_set(oracle_set.job, folder / "images", lambda whole: whole.rename(finished))
        times = {"name": NAME, "start": started, "end": time.time()}
        write_json(artifacts.times / "sampling" / f"{artifacts.recipe}-{NAME}.json", times)
        _record_resemblance(run, finished)

    make_once(
        artifacts,
        {**begun, "prompts": train.digest},
        artifacts.image_set(NAME),
        make,
        stage=NAME,
        threads=params.oracle.threads,
        beside={PIPELINE: artifacts.stage(NAME)},
    )


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


def _pinned(run: _OracleRun) -> tuple[Path, Provenance]:
    """Folder and provenance of the declared pipeline, which is recorded in the work folder."""
    declared = run.params.oracle.pin
    assert declared is not None
    found = pin(declared, root=run.artifacts.root, place="oracle.pin")
    folder = locate(found, run.artifacts, NAME)
    if pipeline_class(folder) != PIPELINE_CLASS:
        raise GeneratorError(
            f"{folder}: a {pipeline_class(folder)}, expected a {PIPELINE_CLASS}, which images can "
            "prompt; correct oracle.pin.location"
        )
    write_json(run.pipeline / RUN, {**run.record, "runs": []})
    found.write(run.pipeline)
    return folder, found


def _trained(run: _OracleRun, log: Log) -> tuple[Path, Provenance]:
    """Folder and provenance of the pipeline that is trained here, or was before a kill."""
    corpus = ImageSet.read(run.artifacts.image_set("corpus"))
    made = Provenance(
        kind="train",
        location=None,
        revision=None,
        sha256="",
        classes=corpus.classes,
        real_labels=len(corpus),
        training_set=corpus.digest,
    )
    if not (run.pipeline / PROVENANCE).is_file():  # written last
        shutil.rmtree(run.pipeline, ignore_errors=True)
        steps = run.params.oracle.steps
        row = run_of(run.record, num_images=len(corpus), num_steps=steps)
        epochs = run_logged(row, run.record, _train(run, corpus), log)
        runs = [{**row, "epochs": epochs, "last": {}}]
        write_json(run.pipeline / RUN, {**run.record, "runs": runs})
        replace(made, sha256=pipeline_digest(run.pipeline)).write(run.pipeline)
    return run.pipeline, replace(made, sha256=pipeline_digest(run.pipeline))


def _train(run: _OracleRun, corpus: ImageSet) -> Iterator[dict[str, float]]:
    """Fine-tune the UNet and save the pipeline, yielding records of the loss."""
    import torch

    from synthgap.generation.pipelines.opening import open_pipeline
    from synthgap.generation.trainers import unclip
    from synthgap.generation.trainers.diffusion_losses import encode
    from synthgap.generation.trainers.training_loop import OptimConfig, phase
    from synthgap.jobs.device import accelerator_for, seeded_weights
    from synthgap.models.clip import open_clip_model

    params, settings = run.params, run.params.oracle
    seed = derived_seed(params.seed, NAME)
    accelerator = accelerator_for(params.runtime)
    whole = replace(params.runtime, precision="fp32")  # weights; what computes is the accelerator's
    source = Provenance.read(run.artifacts)
    generator = open_pipeline(locate(source, run.artifacts), whole)
    folder, _ = teacher_folder(run.artifacts.stage("teacher"), root=run.artifacts.root)
    teacher = open_clip_model(folder, accelerator.device)
    pixels = corpus.pixels(params.data.image_size)
    embeddings = torch.from_numpy(teacher.embed_images(pixels)).to(accelerator.device)
    with seeded_weights(derived_seed(seed, "weights")):
        pipeline = unclip.build_unclip(generator, teacher, embeddings.cpu()).to(accelerator.device)
    latents = encode(pipeline.vae, pixels)
    config = OptimConfig(
        name=NAME,
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        ema_decay=0.0,
        checkpoint=run.folder / "oracle.pt",
        checkpoint_every_steps=CHECKPOINT_EVERY_STEPS,
    )
    loss_at = unclip.prompted_loss(pipeline, latents, embeddings, settings, seed=seed)
    yield from phase(config, pipeline.unet, loss_at, accelerator)
    unclip.save_unclip(run.pipeline, pipeline.to("cpu"))


def _record_resemblance(run: _OracleRun, finished: Path) -> None:
    """Add to run.json how much the images resemble their prompts."""
    from synthgap.jobs.device import device_of
    from synthgap.models.clip import open_clip_model

    folder, _ = teacher_folder(run.artifacts.stage("teacher"), root=run.artifacts.root)
    teacher = open_clip_model(folder, device_of(run.params.runtime))
    found = resemblance(teacher, ImageSet.read(finished), run.train, run.params.data.image_size)
    path = run.pipeline / RUN
    write_json(path, {**read_json(path), "resemblance": found})

"""Stage `rivals`: another generator beside the recipe's own, to ask which one it takes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgap.data.image_set import ImageSet
from synthgap.errors import GeneratorError, ParamsError
from synthgap.generation.libraries import quiet
from synthgap.generation.pipelines.provenance import (
    Provenance,
    declared_source,
    locate,
    pipeline_digest,
)
from synthgap.jobs import Artifacts, Log
from synthgap.jobs.once import FINISHED, make_once
from synthgap.jobs.recording import machine_of, record, run_logged, run_of
from synthgap.params.reading import section_dict
from synthgap.params.sections import Data, Rival, Runtime, Transformer
from synthgap.seeding import derived_seed

if TYPE_CHECKING:
    from synthgap.generation.trainers.training_loop import OptimConfig

NAME = "rivals"


@dataclass(frozen=True)
class RivalsParams:
    """What stage `rivals` reads of params.yaml; of `runtime` only device and precision."""

    seed: int
    runtime: Runtime
    data: Data
    rivals: dict[str, Rival]


@dataclass(frozen=True)
class _RivalTraining:
    """One training: what it learns from, and how its record begins."""

    name: str
    params: RivalsParams
    artifacts: Artifacts
    corpus: ImageSet
    main: Provenance
    folder: Path  # in the work folder

    @property
    def rival(self) -> Rival:
        return self.params.rivals[self.name]

    @property
    def transformer(self) -> Transformer:
        assert self.rival.transformer is not None
        return self.rival.transformer


def make_rival(params: RivalsParams, artifacts: Artifacts, log: Log, *, name: str) -> None:
    """Write the rival's pipeline folder with provenance.json and run.json, or its pin alone.

    A killed training goes on from its last checkpoint and ends with the same bytes.

    Raises:
        ParamsError: section `rivals` has no such rival.
        GeneratorError: the pin is not what was declared, or the training cannot go on.
        DataError: `corpus` is missing or damaged.
        WorkError: another process is still making it.
    """
    if name not in params.rivals:
        raise ParamsError(
            f"params.yaml, rivals: no {name!r}, expected one of {', '.join(params.rivals)}"
        )
    if params.rivals[name].kind == "train":
        _train(params, artifacts, log, name)
    else:
        _pin(params, artifacts, name)


def _pin(params: RivalsParams, artifacts: Artifacts, name: str) -> None:
    provenance = declared_source(params.rivals[name], root=artifacts.root, name=name)
    identity = {"experiment": NAME, "recipe": artifacts.recipe, **provenance.as_json()}
    output = artifacts.cell(NAME, name)
    make_once(artifacts, identity, output, lambda _, to: provenance.write(to), stage=NAME)


def _train(params: RivalsParams, artifacts: Artifacts, log: Log, name: str) -> None:
    main = Provenance.read(artifacts)
    if main.kind != "train":
        raise GeneratorError(
            f"rivals.{name}.kind: train, but the generator is pinned; expected rivals.{name}.pin, "
            "or a generator trained here, whose latents a rival learns from"
        )
    corpus = ImageSet.read(artifacts.image_set("corpus"))
    known = _record(params, artifacts, corpus, main, name)

    def make(folder: Path, finished: Path) -> dict[str, Any]:
        training = _RivalTraining(name, params, artifacts, corpus, main, folder)
        run = run_of(known, num_images=len(corpus), num_steps=training.transformer.steps)
        run["name"] += f" {name}"
        epochs = run_logged(run, known, _learn(training), log)
        _provenance(training, finished).write(finished)
        return {**known, "runs": [{**run, "epochs": epochs, "last": {}}]}

    output, threads = artifacts.cell(NAME, name), params.rivals[name].threads
    make_once(artifacts, known, output, make, stage=NAME, threads=threads)


def _record(
    params: RivalsParams, artifacts: Artifacts, corpus: ImageSet, main: Provenance, name: str
) -> dict[str, Any]:
    """All that determines the pipeline's bytes, as run.json begins."""
    rival = params.rivals[name]
    settings = {
        "seed": params.seed,
        "image_size": params.data.image_size,
        "precision": params.runtime.precision,
        "rival": {"name": name, **section_dict(rival)},
        "generator": main.sha256,
    }
    return record(
        NAME,
        artifacts,
        inputs=corpus.as_input(artifacts.root),
        params=settings,
        machine=machine_of(params.runtime, rival.threads),
    )


def _learn(training: _RivalTraining) -> Iterator[dict[str, float]]:
    """Train the transformer and save the pipeline, yielding records of the loss."""
    import torch

    from synthgap.generation.pipelines.opening import open_autoencoder
    from synthgap.generation.trainers import dit
    from synthgap.generation.trainers.diffusion_losses import encode
    from synthgap.generation.trainers.training_loop import phase
    from synthgap.jobs.device import accelerator_for, seeded_weights

    quiet("diffusers")
    params, corpus = training.params, training.corpus
    seed = derived_seed(params.seed, NAME, training.name)
    accelerator = accelerator_for(params.runtime)
    autoencoder = open_autoencoder(locate(training.main, training.artifacts)).to(accelerator.device)
    latents = encode(autoencoder, corpus.pixels(params.data.image_size))
    with seeded_weights(derived_seed(seed, "weights")):
        transformer = dit.build_transformer(
            training.transformer,
            num_classes=len(corpus.classes),
            latent_channels=latents.mean.shape[1],
            latent_size=latents.mean.shape[-1],
        )
    labels = torch.from_numpy(corpus.labels)
    loss_at = dit.transformer_loss(transformer, latents, labels, training.transformer, seed=seed)
    yield from phase(_optim_config(training), transformer, loss_at, accelerator)
    finished = training.folder / FINISHED
    shutil.rmtree(finished, ignore_errors=True)  # what a killed save has left
    dit.save_transformer(finished, transformer.cpu(), autoencoder.cpu(), corpus.classes)


def _optim_config(training: _RivalTraining) -> OptimConfig:
    from synthgap.generation.trainers.training_loop import OptimConfig

    settings = training.transformer
    return OptimConfig(
        name=f"rivals.{training.name}.transformer",
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        ema_decay=settings.ema_decay,
        checkpoint=training.folder / "transformer.pt",
        checkpoint_every_steps=training.rival.checkpoint_every_steps,
    )


def _provenance(training: _RivalTraining, finished: Path) -> Provenance:
    made = Provenance(
        kind="train",
        location=None,
        revision=None,
        sha256=pipeline_digest(finished),
        classes=training.corpus.classes,
        real_labels=len(training.corpus),
        training_set=training.corpus.digest,
    )
    return made.declared(training.rival, training.name)

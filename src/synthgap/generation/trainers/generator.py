"""Stage `generator`: a text-to-image pipeline, trained here on `corpus` or made elsewhere."""

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
    MAIN,
    Provenance,
    declared_source,
    pipeline_digest,
)
from synthgap.jobs import Artifacts, Log
from synthgap.jobs.once import FINISHED, make_once
from synthgap.jobs.recording import machine_of, record, run_logged, run_of
from synthgap.params.reading import section_dict
from synthgap.params.sections import Data, Generator, Prompts, Runtime
from synthgap.seeding import derived_seed

if TYPE_CHECKING:
    from synthgap.generation.trainers.training_loop import OptimConfig

Captions = dict[str, list[str]]  # of each class, by its folder


@dataclass(frozen=True)
class GeneratorParams:
    """What stage `generator` reads of params.yaml; of `runtime` only device and precision."""

    seed: int
    runtime: Runtime
    data: Data
    generator: Generator
    prompts: Prompts


@dataclass(frozen=True)
class _GeneratorTraining:
    """One training: what it learns from, and how its record begins."""

    params: GeneratorParams
    corpus: ImageSet
    captions: Captions
    folder: Path  # in the work folder
    run: dict[str, Any]


def make_generator(params: GeneratorParams, artifacts: Artifacts, log: Log) -> None:
    """Write the pipeline folder with provenance.json and run.json, or a pin's provenance.json.

    A killed training goes on from its last checkpoint and ends with the same bytes.

    Raises:
        GeneratorError: the pin is not what was declared, or the training cannot go on.
        ParamsError: the image size does not suit the networks.
        DataError: `corpus` is missing or damaged.
        WorkError: another process is still making it.
    """
    if params.generator.pin is not None:
        _pin(params, artifacts)
    else:
        _train(params, artifacts, log)


def _pin(params: GeneratorParams, artifacts: Artifacts) -> None:
    provenance = declared_source(params.generator, root=artifacts.root, name=MAIN)
    identity = {"experiment": "generator", "recipe": artifacts.recipe, **provenance.as_json()}
    output = artifacts.generator
    make_once(artifacts, identity, output, lambda _, to: provenance.write(to), stage="generator")


def _train(params: GeneratorParams, artifacts: Artifacts, log: Log) -> None:
    _check_size(params)
    corpus = ImageSet.read(artifacts.image_set("corpus"))
    if not len(corpus):
        raise GeneratorError(
            f"{corpus.root}: no images, expected some to train on; set data.splits.corpus"
        )
    captions = _captions(params, artifacts, corpus)
    known = _record(params, artifacts, corpus, captions)

    def make(folder: Path, finished: Path) -> dict[str, Any]:
        training = _GeneratorTraining(params, corpus, captions, folder, _run(known, corpus))
        epochs = run_logged(training.run, known, _learn(training), log)
        _provenance(training, finished).write(finished)
        return {**known, "runs": [{**training.run, "epochs": epochs, "last": {}}]}

    threads = params.generator.threads
    make_once(artifacts, known, artifacts.generator, make, stage="generator", threads=threads)


def _record(
    params: GeneratorParams, artifacts: Artifacts, corpus: ImageSet, captions: Captions
) -> dict[str, Any]:
    """All that determines the pipeline's bytes, as run.json begins."""
    settings = {
        "seed": params.seed,
        "image_size": params.data.image_size,
        "precision": params.runtime.precision,
        "generator": section_dict(params.generator),
        "captions": captions,
    }
    return record(
        "generator",
        artifacts,
        inputs=corpus.as_input(artifacts.root),
        params=settings,
        machine=machine_of(params.runtime, params.generator.threads),
    )


def _run(known: dict[str, Any], corpus: ImageSet) -> dict[str, Any]:
    settings = known["params"]["generator"]
    steps = settings["autoencoder"]["steps"] + settings["denoiser"]["steps"]
    return run_of(known, num_images=len(corpus), num_steps=steps)


def _learn(training: _GeneratorTraining) -> Iterator[dict[str, float]]:
    """Train both phases and save the pipeline, yielding records of the losses."""
    import torch

    from synthgap.generation.prompts.tokenizer import make_tokenizer
    from synthgap.generation.trainers import diffusion_losses, diffusion_networks
    from synthgap.generation.trainers.training_loop import phase
    from synthgap.jobs.device import accelerator_for, seeded_weights

    quiet("diffusers", "transformers")
    params, corpus, settings = training.params, training.corpus, training.params.generator
    seed = derived_seed(params.seed, "generator")
    accelerator = accelerator_for(params.runtime)
    pixels = corpus.pixels(params.data.image_size)
    tokenizer = make_tokenizer(training.captions)
    with seeded_weights(derived_seed(seed, "autoencoder", "weights")):
        autoencoder = diffusion_networks.build_autoencoder(
            settings.autoencoder, image_size=params.data.image_size
        )
    losses, first = diffusion_losses, settings.autoencoder
    loss_at = losses.autoencoder_loss(autoencoder, pixels, first, seed=seed)
    yield from phase(_optim_config(training, "autoencoder"), autoencoder, loss_at, accelerator)
    latents = diffusion_losses.encode(autoencoder, pixels)
    autoencoder.register_to_config(scaling_factor=latents.scaling_factor)
    with seeded_weights(derived_seed(seed, "denoiser", "weights")):
        parts = diffusion_networks.build_conditioned(
            settings.denoiser,
            tokenizer,
            latent_channels=settings.autoencoder.latent_channels,
            latent_size=latents.mean.shape[-1],
        )
    captions = [training.captions[corpus.classes[label]] for label in corpus.labels]
    tokens = diffusion_losses.caption_tokens(tokenizer, captions)
    loss_at = diffusion_losses.denoiser_loss(parts, latents, tokens, settings.denoiser, seed=seed)
    network = torch.nn.ModuleList([parts.text_encoder, parts.unet])
    for epoch in phase(_optim_config(training, "denoiser"), network, loss_at, accelerator):
        yield {**epoch, "epoch": settings.autoencoder.steps + epoch["epoch"]}
    finished = training.folder / FINISHED
    shutil.rmtree(finished, ignore_errors=True)  # what a killed save has left
    diffusion_networks.save_pipeline(finished, autoencoder.cpu(), parts)


def _optim_config(training: _GeneratorTraining, name: str) -> OptimConfig:
    from synthgap.generation.trainers.training_loop import OptimConfig

    settings = training.params.generator
    denoising = name == "denoiser"
    part = settings.denoiser if denoising else settings.autoencoder
    return OptimConfig(
        name=f"generator.{name}",
        steps=part.steps,
        learning_rate=part.learning_rate,
        ema_decay=settings.denoiser.ema_decay if denoising else 0.0,
        checkpoint=training.folder / f"{name}.pt",
        checkpoint_every_steps=settings.checkpoint_every_steps,
    )


def _captions(params: GeneratorParams, artifacts: Artifacts, corpus: ImageSet) -> Captions:
    from synthgap.generation.prompts.class_words import class_words
    from synthgap.generation.prompts.wording import filled, places

    templates = params.generator.denoiser.captions
    words = class_words(params.prompts, corpus.classes, artifacts.root, places(templates))
    return {name: [filled(text, words[name]) for text in templates] for name in corpus.classes}


def _provenance(training: _GeneratorTraining, finished: Path) -> Provenance:
    return Provenance(
        kind="train",
        location=None,
        revision=None,
        sha256=pipeline_digest(finished),
        classes=training.corpus.classes,
        real_labels=len(training.corpus),
        training_set=training.corpus.digest,
    ).declared(training.params.generator, MAIN)


def _check_size(params: GeneratorParams) -> None:
    """Both networks halve the side once a level but the first, and diffusers counts in eights."""
    settings, size = params.generator, params.data.image_size
    halvings = len(settings.autoencoder.channels) + len(settings.denoiser.channels) - 2
    step = max(8, 2**halvings)
    if size % step:
        raise ParamsError(
            f"params.yaml, data.image_size: {size}, expected a multiple of {step} px for a "
            "generator with so many levels; change it or shorten generator.*.channels"
        )

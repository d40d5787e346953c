"""Stage `teacher`: a CLIP that embeds images and class names, trained on `corpus` or pinned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthgap.data.image_set import ImageSet
from synthgap.errors import GeneratorError, ParamsError
from synthgap.generation.pipelines.provenance import Provenance, attested, locate
from synthgap.generation.prompts.class_words import class_texts
from synthgap.generation.prompts.tokenizer import check_prompts
from synthgap.generation.trainers.clip_networks import pixels_of, some_rows, unit
from synthgap.jobs import Artifacts, Log
from synthgap.jobs.once import FINISHED, make_once
from synthgap.jobs.recording import machine_of, record, run_logged, run_of
from synthgap.params.reading import section_dict
from synthgap.params.sections import Data, Prompts, Runtime, Teacher
from synthgap.seeding import derived_seed

CHECKPOINT_EVERY_STEPS = 100


@dataclass(frozen=True)
class TeacherParams:
    """What stage `teacher` reads of params.yaml; of `runtime` only device and precision."""

    seed: int
    runtime: Runtime
    data: Data
    prompts: Prompts
    teacher: Teacher

    @property
    def place(self) -> str:
        """What the teacher's texts are set by."""
        return "params.yaml, teacher.prompt"


def make_teacher(params: TeacherParams, artifacts: Artifacts, log: Log) -> None:
    """Write a CLIPModel folder with provenance.json and run.json, or a pin's two records alone.

    run.json tells its `agreement` on `corpus` and `train`: the share of images whose nearest class
    text is their own class's. A killed training goes on from its last checkpoint and ends with the
    same bytes.

    Raises:
        GeneratorError: the pin is not what was declared, or the training cannot go on.
        ParamsError: the patches do not tile the image.
        DataError: `corpus` or `train` is missing or damaged.
        WorkError: another process is still making it.
    """
    train = ImageSet.read(artifacts.image_set("train"))
    source = _pinned(params, artifacts) if params.teacher.pin else _generator(params, artifacts)
    known = _record(params, artifacts, source)
    identity = {**known, "classes": list(train.classes)}
    output = artifacts.stage("teacher")

    def make(folder: Path, finished: Path) -> dict[str, Any]:
        runs = []
        if params.teacher.pin is None:
            training = _TeacherTraining(params, artifacts, locate(source, artifacts), folder)
            run = training.run(known)
            runs = [{**run, "epochs": run_logged(run, known, _learn(training), log), "last": {}}]
            _provenance(training.corpus, finished).write(finished)
        else:
            source.write(finished)
        return {**known, "runs": runs, "agreement": _agreement(params, artifacts, finished)}

    threads = params.teacher.threads
    make_once(artifacts, identity, output, make, stage="teacher", threads=threads)


class _TeacherTraining:
    """One training: what it learns from, and where its work lies."""

    def __init__(
        self, params: TeacherParams, artifacts: Artifacts, pipeline: Path, folder: Path
    ) -> None:
        self.params = params
        self.corpus = ImageSet.read(artifacts.image_set("corpus"))
        self.texts = _texts(params, artifacts, self.corpus)
        self.pipeline = pipeline
        self.folder = folder

    def run(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Its run, still without epochs."""
        return run_of(known, num_images=len(self.corpus), num_steps=self.params.teacher.steps)


def _learn(training: _TeacherTraining) -> Iterator[dict[str, float]]:
    """Train the image tower and save the whole, yielding records of the loss."""
    from synthgap.generation.trainers import clip_networks
    from synthgap.generation.trainers.training_loop import OptimConfig, phase
    from synthgap.jobs.device import accelerator_for, seeded_weights

    params, settings = training.params, training.params.teacher
    seed = derived_seed(params.seed, "teacher")
    size = params.data.image_size
    tokenizer, text_tower = clip_networks.open_text_tower(training.pipeline)
    texts = training.texts
    if check_prompts(tokenizer, texts, place=params.place):
        raise GeneratorError(
            f"{params.place}: {settings.prompt!r} has more words than the generator was trained "
            f"on; expected at most {tokenizer.model_max_length - 2}"
        )
    with seeded_weights(derived_seed(seed, "weights")):
        clip = clip_networks.build_clip(settings, text_tower, image_size=size)
    accelerator = accelerator_for(params.runtime)
    clip.to(accelerator.device)
    text_features = clip_networks.class_texts(text_tower, tokenizer, texts).to(accelerator.device)
    images = (training.corpus.pixels(size), training.corpus.labels)
    config = OptimConfig(
        name="teacher",
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        ema_decay=0.0,
        checkpoint=training.folder / "teacher.pt",
        checkpoint_every_steps=CHECKPOINT_EVERY_STEPS,
    )
    loss_at = clip_networks.teacher_loss(clip, text_features, images, settings, seed=seed)
    yield from phase(config, clip_networks.trained_parts(clip), loss_at, accelerator)
    clip_networks.save_clip(training.folder / FINISHED, clip.cpu(), tokenizer, image_size=size)


def _agreement(params: TeacherParams, artifacts: Artifacts, folder: Path) -> dict[str, float]:
    """Share of real images whose nearest class text is right, by set."""
    from synthgap.jobs.device import device_of
    from synthgap.models.clip import open_clip_model, teacher_folder

    place, _ = teacher_folder(folder, root=artifacts.root)
    model = open_clip_model(place, device_of(params.runtime))
    shares = {}
    for name in ("corpus", "train"):
        images = ImageSet.read(artifacts.image_set(name))
        rows = some_rows(len(images))
        if len(rows):
            texts = unit(model.embed_texts(_texts(params, artifacts, images)))
            pixels_seen = model.embed_images(pixels_of(images, rows, params.data.image_size))
            nearest = (pixels_seen @ texts.T).argmax(axis=1)
            shares[name] = round(float((nearest == images.labels[rows]).mean()), 4)
    return shares


def _texts(params: TeacherParams, artifacts: Artifacts, images: ImageSet) -> list[str]:
    return class_texts(params.teacher.prompt, params.prompts, images.classes, artifacts.root)


def _generator(params: TeacherParams, artifacts: Artifacts) -> Provenance:
    """The generator whose text encoder is the teacher's."""
    size, patch = params.data.image_size, params.teacher.patch_px
    if size % patch:
        raise ParamsError(
            f"params.yaml, teacher.patch_px: {patch}, expected a divisor of data.image_size, "
            f"which is {size}"
        )
    return Provenance.read(artifacts)


def _pinned(params: TeacherParams, artifacts: Artifacts) -> Provenance:
    from synthgap.models.clip import clip_digest, find_clip

    pin = params.teacher.pin
    assert pin is not None
    folder, revision = find_clip(pin.location, pin.revision, root=artifacts.root)
    return attested(pin, folder, clip_digest(folder), revision=revision, place="teacher.pin")


def _record(params: TeacherParams, artifacts: Artifacts, source: Provenance) -> dict[str, Any]:
    """All that determines the teacher's bytes, as run.json begins."""
    inputs: dict[str, str] = {}
    for name in ("corpus", "train"):
        inputs |= ImageSet.read(artifacts.image_set(name)).as_input(artifacts.root)
    settings = {
        "seed": params.seed,
        "image_size": params.data.image_size,
        "precision": params.runtime.precision,
        "teacher": section_dict(params.teacher),
        "texts": _texts(params, artifacts, ImageSet.read(artifacts.image_set("train"))),
        "pinned" if params.teacher.pin else "generator": source.sha256,
    }
    return record(
        "teacher",
        artifacts,
        inputs=inputs,
        params=settings,
        machine=machine_of(params.runtime, params.teacher.threads),
    )


def _provenance(corpus: ImageSet, finished: Path) -> Provenance:
    from synthgap.models.clip import clip_digest

    return Provenance(
        kind="train",
        location=None,
        revision=None,
        sha256=clip_digest(finished),
        classes=corpus.classes,
        real_labels=len(corpus),
        training_set=corpus.digest,
    )

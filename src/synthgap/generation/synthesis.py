"""Stage `synthesize`: a synthetic image set, image by image, resumed with what is there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgap.artifacts import Artifacts, hold, write_json
from synthgap.data.image_set import ImageSet
from synthgap.errors import GeneratorError, ParamsError
from synthgap.generation.foreign import Pipeline
from synthgap.generation.pictures import Making, Picture, Sampler, assemble, make_missing
from synthgap.generation.prompts import check_prompts, fill
from synthgap.generation.provenance import Provenance, locate, scheduler_name
from synthgap.generation.recording import code_digest, machine_of
from synthgap.params.reading import section_dict
from synthgap.params.sections import Data, Runtime, Synthesize
from synthgap.seeding import derived_seed

if TYPE_CHECKING:
    from synthgap.generation.opening import Settings

LOCK_TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class SynthesizeParams:
    """What stage `synthesize` reads of params.yaml; of `runtime` only device and precision."""

    seed: int
    runtime: Runtime
    data: Data
    synthesize: Synthesize


@dataclass(frozen=True)
class _Set:
    params: SynthesizeParams
    guidance_scale: float
    generator: Provenance
    pipeline: Path
    classes: tuple[str, ...]
    pictures: list[Picture]

    @property
    def about(self) -> dict[str, Any]:
        """What is true of the whole set."""
        return {"generator_real_labels": self.generator.real_labels}

    def making(self, folder: Path) -> Making:
        """The set in the making in `folder`."""
        sampled = self.params.synthesize
        return Making(
            name=f"synthesize g{self.guidance_scale}",
            folder=folder,
            pictures=self.pictures,
            classes=self.classes,
            data=self.params.data,
            size_px=(sampled.width, sampled.height),
        )


def synthesize(params: SynthesizeParams, artifacts: Artifacts, *, guidance_scale: float) -> None:
    """Sample the set of one guidance scale, with the classes and counts of image set `train`.

    Image k depends on the seed and k alone, so a longer set begins with the images of a shorter
    one, and equal k have equal noise at every guidance scale.

    Raises:
        GeneratorError: the pipeline is missing or changed, or was not made for these prompts.
        ParamsError: the size does not suit diffusers.
        DataError: `train` is missing.
        WorkError: another process is still making the set.
    """
    from synthgap.generation.machine import torch_threads

    _check_size(params.synthesize)
    train = ImageSet.read(artifacts.image_set("train"))
    generator = Provenance.read(artifacts)
    wanted = _Set(
        params=params,
        guidance_scale=guidance_scale,
        generator=generator,
        pipeline=locate(generator, artifacts),
        classes=train.classes,
        pictures=plan(params, train.classes, train.labels),
    )
    output = artifacts.image_set(artifacts.synthetic(guidance_scale))
    with (
        hold(artifacts.work, _identity(wanted, train), output, timeout_s=LOCK_TIMEOUT_S) as work,
        torch_threads(params.synthesize.threads),
    ):
        if work.finished:
            return
        started = time.time()
        making = wanted.making(work.folder)
        batch = params.synthesize.compute_batch
        make_missing(making, lambda: _sampler(wanted), batch=batch)
        finished = assemble(making, _facts(wanted), wanted.about)
        times = {"name": output.name, "start": started, "end": time.time()}
        write_json(artifacts.times / "sampling" / f"{artifacts.recipe}-{output.name}.json", times)
        work.publish(finished)


def plan(params: SynthesizeParams, classes: Sequence[str], labels: np.ndarray) -> list[Picture]:
    """Every picture of the set, ordered by k: the i-th of class c is number i x num_classes + c."""
    section = params.synthesize
    counts = Counter(labels.tolist())
    if section.per_class != "as_train":
        counts = Counter(dict.fromkeys(range(len(classes)), section.per_class))
    pictures = []
    for index in range(max(counts.values(), default=0)):
        for label, name in enumerate(classes):
            if index < counts[label]:
                number = index * len(classes) + label
                pictures.append(
                    Picture(
                        label=label,
                        class_name=name,
                        prompt=fill(section.prompt, name),
                        seed=derived_seed(params.seed, "synthesize", number),
                        path=f"{name}/{index:05d}.png",
                    )
                )
    return pictures


def _identity(wanted: _Set, train: ImageSet) -> dict[str, Any]:
    """All that determines the set's bytes; of `train` only classes and counts."""
    params, threads = wanted.params, wanted.params.synthesize.threads
    return {
        "stage": "synthesize",
        "generator": wanted.generator.sha256,
        "classes": list(train.classes),
        "counts": np.bincount(train.labels, minlength=len(train.classes)).tolist(),
        "guidance_scale": wanted.guidance_scale,
        "seed": params.seed,
        "precision": params.runtime.precision,
        "stored": [params.data.encoding, *wanted.making(Path()).stored_px],
        "synthesize": section_dict(params.synthesize),
        "environment": machine_of(params.runtime, threads),
        "code": code_digest(),
    }


def _sampler(wanted: _Set) -> Sampler:
    from synthgap.generation.opening import Request, sample

    pipeline, settings = _opened(wanted), _settings(wanted)

    def sampler(part: Sequence[Picture]) -> np.ndarray:
        return sample(pipeline, [Request(one.prompt, one.seed) for one in part], settings)

    return sampler


def _opened(wanted: _Set) -> Pipeline:
    from synthgap.generation.opening import open_pipeline
    from synthgap.generation.progress import tell

    pipeline = open_pipeline(wanted.pipeline, wanted.params.runtime)
    prompts = list(dict.fromkeys(one.prompt for one in wanted.pictures))
    place = "params.yaml, synthesize.prompt"
    cut = check_prompts(pipeline.tokenizer, prompts, place=place)
    if cut and wanted.generator.classes is not None:
        raise GeneratorError(
            f"{place}: {cut[0]!r} has more words than this generator was trained on; expected "
            f"at most {pipeline.tokenizer.model_max_length - 2}, as in generator.denoiser.caption"
        )
    if cut:
        tell(f"synthesize: the text encoder cuts {len(cut)} long prompts short, first {cut[0]!r}")
    return pipeline


def _settings(wanted: _Set) -> Settings:
    from synthgap.generation.opening import Settings

    section = wanted.params.synthesize
    return Settings(
        negative_prompt=section.negative_prompt,
        guidance_scale=wanted.guidance_scale,
        steps=section.steps,
        width=section.width,
        height=section.height,
        batch=section.compute_batch,
    )


def _facts(wanted: _Set) -> dict[str, Any]:
    return {
        "guidance_scale": wanted.guidance_scale,
        "steps": wanted.params.synthesize.steps,
        "scheduler": scheduler_name(wanted.pipeline),
        "generator_digest": wanted.generator.sha256,
    }


def _check_size(section: Synthesize) -> None:
    for name in ("width", "height"):
        if getattr(section, name) % 8:
            raise ParamsError(
                f"params.yaml, synthesize.{name}: {getattr(section, name)}, expected a multiple "
                "of 8 px"
            )

"""The set of stage `oracle`: one image for each real one, prompted by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthgap.data.image_set import ImageSet
from synthgap.generation.checkpoints.provenance import Provenance, scheduler_name
from synthgap.generation.image_prompts.pictures import (
    Making,
    Picture,
    Sampler,
    assemble,
    make_missing,
)
from synthgap.generation.samplers.requests import Request, Settings
from synthgap.params.sections import Data, Oracle, Runtime
from synthgap.seeding import derived_seed

NAME = "oracle"
CAVEAT = (
    "An oracle: every image is prompted by the embedding of a real training image, so the prompts "
    "carry information of the very images that synthetic ones are to replace. It bounds what "
    "better prompts could give; it does not save real images."
)


@dataclass(frozen=True)
class Prompted:
    """What is sampled: the images that prompt, the pipeline's folder and where that comes from."""

    seed: int
    runtime: Runtime
    data: Data
    section: Oracle
    prompts: ImageSet
    pipeline: Path
    provenance: Provenance


def plan(seed: int, prompts: ImageSet) -> list[Picture]:
    """One picture for each prompt, ordered by k: the i-th of class c is i x num_classes + c."""
    pictures: dict[int, Picture] = {}
    seen = [0] * len(prompts.classes)
    for row, (path, label) in enumerate(zip(prompts.paths, prompts.labels.tolist(), strict=True)):
        index, name = seen[label], prompts.classes[label]
        seen[label] += 1
        number = index * len(prompts.classes) + label
        pictures[number] = Picture(
            label=label,
            class_name=name,
            prompt=path,
            seed=derived_seed(seed, NAME, number),
            path=f"{name}/{index:05d}.png",
            source=row,
        )
    return [pictures[number] for number in sorted(pictures)]


def sample_prompted(prompted: Prompted, folder: Path) -> Path:
    """Sample what is not in `folder` yet; return the whole set's own folder inside it."""
    from synthgap.generation.image_prompts.unclip import native_size

    section, prompts = prompted.section, prompted.prompts
    making = Making(
        name=NAME,
        folder=folder,
        pictures=plan(prompted.seed, prompts),
        classes=prompts.classes,
        data=prompted.data,
        size_px=native_size(prompted.pipeline),
    )
    make_missing(making, lambda: _sampler(prompted), batch=section.compute_batch)
    facts = {
        "guidance_scale": section.guidance_scale,
        "steps": section.sampling_steps,
        "scheduler": scheduler_name(prompted.pipeline),
        "generator_digest": prompted.provenance.sha256,
    }
    seen = prompted.provenance.real_labels
    about: dict[str, Any] = {
        "generator_real_labels": None if seen is None else seen + len(prompts),
        "prompted_by": {"name": prompts.root.name, "digest": prompts.digest},
        "caveat": CAVEAT,
    }
    return assemble(making, facts, about)


def _sampler(prompted: Prompted) -> Sampler:
    from synthgap.generation.samplers.opening import open_sampler

    classes = prompted.prompts.classes
    sampler = open_sampler(
        prompted.pipeline, _settings(prompted), prompted.runtime, classes=classes, prompts=()
    )

    def pixels_of(part: Sequence[Picture]) -> np.ndarray:
        requests = [
            Request(one.seed, image=np.asarray(prompted.prompts.image(one.source)))
            for one in part
            if one.source is not None
        ]
        return sampler(requests).pixels

    return pixels_of


def _settings(prompted: Prompted) -> Settings:
    section = prompted.section
    return Settings(
        negative_prompt="",
        guidance_scale=section.guidance_scale,
        steps=section.sampling_steps,
        scheduler=None,
        width=None,
        height=None,
        compute_batch=section.compute_batch,
        decode_batch=section.compute_batch,
        noise_level=section.noise_level,
    )

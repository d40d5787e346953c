"""What is asked of a set: its name, what its generator understands, how many images."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from synthgap.errors import ParamsError
from synthgap.generation.pipelines.provenance import INDEX, MAIN, pipeline_class, sample_files
from synthgap.generation.pipelines.sampler import SamplingSettings
from synthgap.params.sections import Data, Prompts, Runtime, Synthesize
from synthgap.params.synthesis import FORM, LEAST_FACTOR, MOST_FACTOR, SetName


@dataclass(frozen=True)
class GeneratorCapabilities:
    """Whether a generator knows classes, reads prompts, or follows images."""

    knows_classes: bool
    reads_text: bool
    needs_images: bool
    available: tuple[int, ...] | None = None  # samples a class, or in all, where they are files


def capabilities_of(folder: Path, classes: Sequence[str]) -> GeneratorCapabilities:
    """Look at a pipeline's folder, or at one of samples; `classes` are the dataset's."""
    if not (folder / INDEX).is_file():
        return _samples(folder, classes)
    from synthgap.generation.pipelines.opening import FAMILIES
    from synthgap.generation.pipelines.text_to_image import prompted_by_images
    from synthgap.generation.pipelines.without_text import class_conditional, unconditional

    family = FAMILIES.get(pipeline_class(folder))
    return GeneratorCapabilities(
        knows_classes=family is not unconditional,
        reads_text=family not in (unconditional, class_conditional),
        needs_images=family is prompted_by_images,
    )


def _samples(folder: Path, classes: Sequence[str]) -> GeneratorCapabilities:
    parents = Counter(path.parent for path in sample_files(folder))
    in_classes = any(parent != folder for parent in parents)
    counts = [parents[folder / name] for name in classes] if in_classes else [parents[folder]]
    return GeneratorCapabilities(
        in_classes, reads_text=False, needs_images=False, available=tuple(counts)
    )


UNGUIDED = 1.0


@dataclass(frozen=True)
class SynthesizeParams:
    """What stage `synthesize` reads of params.yaml."""

    seed: int
    runtime: Runtime
    data: Data
    prompts: Prompts
    synthesize: Synthesize


@dataclass(frozen=True)
class SetRequest:
    """One set: what its name leaves open is as in section `synthesize`."""

    name: str
    rival: str | None
    guidance_scale: float | None
    scheme: str
    steps: int
    factor: float

    @property
    def source(self) -> tuple[str, ...]:
        """Stage and cell of the generator's folder."""
        return (MAIN,) if self.rival is None else ("rivals", self.rival)

    @property
    def family(self) -> str:
        """The set's name without its size: longer and shorter sets hold the same images."""
        return self.name.rpartition("-x")[0] or self.name

    def settings(self, section: Synthesize) -> SamplingSettings:
        """How its images are sampled."""
        return SamplingSettings(
            negative_prompt=section.negative_prompt,
            guidance_scale=UNGUIDED if self.guidance_scale is None else self.guidance_scale,
            steps=self.steps,
            scheduler=section.scheduler,
            width=section.width,
            height=section.height,
            compute_batch=section.compute_batch,
            decode_batch=section.decode_batch,
            safety=section.filters.safety,
        )


def set_request(name: str, section: Synthesize) -> SetRequest:
    """Read a set's name.

    Raises:
        ParamsError: it is no synthetic set's, or its factor is out of range.
    """
    read = SetName.parse(name)
    if read is None:
        raise ParamsError(f"--image-set {name}: no synthetic set's name, expected {FORM}")
    factor = 1.0 if read.factor is None else read.factor
    if not LEAST_FACTOR <= factor <= MOST_FACTOR:
        raise ParamsError(
            f"--image-set {name}: factor {factor:g}, expected {LEAST_FACTOR:g} to {MOST_FACTOR:g}"
        )
    return SetRequest(
        name=name,
        rival=read.rival,
        guidance_scale=read.guidance_scale,
        scheme=read.scheme or section.scheme,
        steps=read.steps or section.steps,
        factor=factor,
    )


Count = int | Literal["as_train", "balance"]


def counts_of(labels: np.ndarray, num_classes: int, count: Count, factor: float) -> np.ndarray:
    """Images a class, (num_classes,) int64, for real `labels` (num_images,).

    `as_train` keeps the real imbalance, times `factor`; `balance` tops every class up to `factor`
    times the largest, real images included. Halves are rounded up, and a class that has images has
    at least one: a larger factor never has fewer.

    Raises:
        ParamsError: nothing is left to make.
    """
    real = np.bincount(labels, minlength=num_classes)
    if count == "balance":
        largest = _times(int(real.max(initial=0)), factor)
        wanted = [max(0, largest - number) for number in real.tolist()]
    elif count == "as_train":
        wanted = [_times(number, factor) for number in real.tolist()]
    else:
        wanted = [_times(count, factor)] * num_classes
    if not sum(wanted):
        raise ParamsError(
            f"params.yaml, synthesize.count: {count}, but the real classes need nothing; expected "
            "as_train or a number"
        )
    return np.asarray(wanted, dtype=np.int64)


def _times(number: int, factor: float) -> int:
    """`number x factor`, halves up, at least 1 of any; 1e-9 forgives what floats cannot hold."""
    return max(min(number, 1), math.floor(number * factor + 0.5 + 1e-9))

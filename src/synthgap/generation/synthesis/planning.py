"""All that is decided about a set before the first image: generator, prompts, counts, files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from synthgap.data.image_set import ImageSet
from synthgap.errors import DataError
from synthgap.generation.pipelines.provenance import Provenance, checker_digest, locate
from synthgap.generation.pipelines.schedulers import scheduler_used
from synthgap.generation.prompts.schemes import PromptWriter, prompt_writer
from synthgap.generation.synthesis.candidates import Candidates
from synthgap.generation.synthesis.encoding import (
    Encoding,
    ImageMetadata,
    generator_metadata,
    like_real,
    versions_of,
)
from synthgap.generation.synthesis.filters import FilterRequest, filters_identity
from synthgap.generation.synthesis.near_copies import NearCopies
from synthgap.generation.synthesis.set_in_progress import SamplingTools, SetInProgress
from synthgap.generation.synthesis.set_request import (
    GeneratorCapabilities,
    SetRequest,
    SynthesizeParams,
    capabilities_of,
    counts_of,
    set_request,
)
from synthgap.jobs import Artifacts
from synthgap.jobs.recording import machine_of

PROMPTED_BY = "unclip"  # the scheme of sets whose prompts are images


@dataclass(frozen=True)
class SetPlan:
    """One set: what is wanted, and everything that its bytes follow from."""

    params: SynthesizeParams
    artifacts: Artifacts
    wanted: SetRequest
    train: ImageSet
    generator: Provenance
    folder: Path  # of the pipeline, or of samples
    capabilities: GeneratorCapabilities
    writer: PromptWriter | None
    encoding: Encoding
    near_copies: NearCopies | None

    @cached_property
    def counts(self) -> np.ndarray:
        """Images a class, (num_classes,) int64."""
        count, factor = self.params.synthesize.count, self.wanted.factor
        return counts_of(self.train.labels, len(self.train.classes), count, factor)

    @property
    def packed(self) -> bool:
        """Whether the set is so large that it lies in shards."""
        return int(self.counts.sum()) > self.params.synthesize.shard_above

    @property
    def scheme(self) -> str | None:
        """By which words it was asked, if by any."""
        return self.wanted.scheme if self.capabilities.reads_text else None

    @property
    def sample_filter(self) -> FilterRequest:
        """What is asked of every sample."""
        return FilterRequest(
            filters=self.params.synthesize.filters,
            min_confidence=self.generator.min_confidence,
            labelled=self.capabilities.knows_classes,
            classes=self.train.classes,
            batch=self.params.synthesize.compute_batch,
        )

    @cached_property
    def judged_by(self) -> dict[str, Any]:
        """The filters' identity."""
        return filters_identity(self.sample_filter, self.artifacts)

    @cached_property
    def environment(self) -> dict[str, str | int]:
        """What determines the last bits besides all that."""
        return machine_of(self.params.runtime, self.params.synthesize.threads)

    @property
    def scheduler(self) -> str:
        """Class name of the scheduler that samples."""
        return scheduler_used(self.folder, self.params.synthesize.scheduler)

    @cached_property
    def candidates(self) -> Candidates:
        """Everything that can be asked for."""
        return Candidates(
            seed=self.params.seed,
            classes=self.train.classes,
            labelled=self.capabilities.knows_classes,
            writer=self.writer,
            prompting=self.train if self.capabilities.needs_images else None,
        )

    @property
    def identity(self) -> dict[str, Any]:
        """All that determines the set's bytes; of `train` only what is used of it."""
        section = self.params.synthesize
        checker = checker_digest(self.folder) if section.filters.safety else None
        return {
            "stage": "synthesize",
            "family": self.wanted.family,
            "generator": [self.generator.name, self.generator.sha256, self.generator.licence],
            "real_labels": self.generator.real_labels,
            "classes": list(self.train.classes),
            "counts": self.counts.tolist(),
            "packed": self.packed,
            "prompts": None if self.writer is None else self.writer.digest,
            "prompted_by": self.train.digest if self.capabilities.needs_images else None,
            "seed": self.params.seed,
            "settings": asdict(self.wanted.settings(section)),
            "precision": self.params.runtime.precision,
            "compile": self.params.runtime.compile,
            "encoding": self.encoding.as_json(),
            "filters": {**self.judged_by, "safety_checker": checker},
            "near_copies": None if self.near_copies is None else self.near_copies.identity,
            "environment": self.environment,
        }

    @property
    def metadata(self) -> ImageMetadata:
        """What every file of the set tells of it."""
        section = self.params.synthesize
        return ImageMetadata(
            {
                "recipe": self.artifacts.recipe,
                "set": self.wanted.family,
                "generator": generator_metadata(self.generator, self.wanted.source),
                "settings": asdict(self.wanted.settings(section)),
                "scheduler": self.scheduler,
                "scheme": self.scheme,
                "precision": self.params.runtime.precision,
                "compile": self.params.runtime.compile,
                "threads": section.threads,
                "stored": self.encoding.brief,
                "versions": versions_of(self.environment),
            }
        )

    def making(self, folder: Path) -> SetInProgress:
        """The set in the making in `folder`."""
        available = self.capabilities.available
        return SetInProgress(
            name=f"synthesize {self.wanted.name}",
            folder=folder,
            candidates=self.candidates,
            wanted=self.counts,
            batch=self.params.synthesize.compute_batch,
            packed=self.packed,
            max_candidates=self.params.synthesize.max_candidates,
            available=None if available is None else np.asarray(available),
            encoding=self.encoding,
            metadata=self.metadata,
            near_copies=self.near_copies,
        )

    def tools(self) -> SamplingTools:
        """Open the generator and the filters.

        Raises:
            SynthgapError: one of them cannot be opened.
        """
        from synthgap.generation.pipelines.opening import open_sampler
        from synthgap.generation.synthesis.filters import open_filters

        section, runtime = self.params.synthesize, self.params.runtime
        candidates = self.candidates
        zeros = np.zeros_like(self.counts)
        asked = (
            candidates.numbers(zeros, self.counts).tolist() if self.capabilities.reads_text else []
        )
        sampler = open_sampler(
            self.folder,
            self.wanted.settings(section),
            runtime,
            classes=self.train.classes,
            prompts=list(dict.fromkeys(map(candidates.prompt, asked))),
        )
        return SamplingTools(sampler, open_filters(self.sample_filter, self.artifacts, runtime))

    def own(self, number: int) -> Mapping[str, Any]:
        """What the tables tell of one candidate."""
        candidates = self.candidates
        source = candidates.source(number)
        row: dict[str, Any] = {
            "prompt": candidates.prompt(number),
            "seed": candidates.noise(number),
        }
        if source is not None:
            row["prompted_by"] = self.train.paths[source]
        return row


def planned_set(params: SynthesizeParams, artifacts: Artifacts, name: str) -> SetPlan:
    """Decide everything about the set `name`.

    Raises:
        SynthgapError: generator, prompts, judge or real images are missing or do not go together.
    """
    wanted = set_request(name, params.synthesize)
    train = ImageSet.read(artifacts.image_set("train"))
    if not len(train):
        raise DataError(f"{train.root}: no images, expected some of each class; rerun ingest")
    generator = Provenance.read(artifacts, *wanted.source)
    folder = locate(generator, artifacts, *wanted.source)
    capabilities = capabilities_of(folder, train.classes)
    writer = None
    if capabilities.reads_text:
        root, seed = artifacts.root, params.seed
        writer = prompt_writer(wanted.scheme, params.prompts, train.classes, root=root, seed=seed)
    copies = params.synthesize.filters.drop_near_duplicates
    return SetPlan(
        params=params,
        artifacts=artifacts,
        wanted=wanted,
        train=train,
        generator=generator,
        folder=folder,
        capabilities=capabilities,
        writer=writer,
        encoding=_encoding(params, train),
        near_copies=NearCopies.open(train, image_size=params.data.image_size) if copies else None,
    )


def _encoding(params: SynthesizeParams, train: ImageSet) -> Encoding:
    section = params.synthesize
    side = params.data.image_size if params.data.encoding == "png" else None
    if section.format == "as_train":
        return like_real(train, side)
    quality = section.quality if section.format == "jpeg" else None
    return Encoding(section.format, side, quality=quality)

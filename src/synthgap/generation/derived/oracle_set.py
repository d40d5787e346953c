"""The oracle's image set: sampled as every synthetic set is, but prompted by training images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from synthgap.data.image_set import ImageSet
from synthgap.generation.pipelines.provenance import Provenance, scheduler_name
from synthgap.generation.pipelines.sampler import SamplingSettings
from synthgap.generation.synthesis.assembling import ManifestFacts
from synthgap.generation.synthesis.candidates import Candidates
from synthgap.generation.synthesis.encoding import (
    Encoding,
    ImageMetadata,
    generator_metadata,
    versions_of,
)
from synthgap.generation.synthesis.filters import as_asked
from synthgap.generation.synthesis.parts import SHARD_ABOVE
from synthgap.generation.synthesis.sampling import SamplingJob
from synthgap.generation.synthesis.set_in_progress import SamplingTools, SetInProgress
from synthgap.jobs.recording import machine_of
from synthgap.params.sections import Data, Oracle, Runtime

NAME = "oracle"
CAVEAT = (
    "An oracle: every image is prompted by the embedding of a real training image, so the prompts "
    "carry information of the very images that synthetic ones are to replace. It bounds what "
    "better prompts could give; it does not save real images."
)


@dataclass(frozen=True)
class OracleParams:
    """What stage `oracle` reads of params.yaml; of `runtime` not the training's part."""

    seed: int
    runtime: Runtime
    data: Data
    oracle: Oracle


@dataclass(frozen=True)
class OracleSet:
    """One image for each of `train`, whose path is its prompt and whose class it takes over.

    `pipeline` is the folder of the generator, whose origin is `provenance`.
    """

    params: OracleParams
    recipe: str
    train: ImageSet
    pipeline: Path
    provenance: Provenance

    @property
    def job(self) -> SamplingJob:
        """All that the processes need that sample it."""
        runtime, threads = self.params.runtime, self.params.oracle.threads
        facts = ManifestFacts(shared=self._shared, own=self._own, about=self._about)
        return SamplingJob(
            runtime=runtime,
            workers=1,  # this process has trained the pipeline
            threads=threads,
            pipeline=self.pipeline,
            making=self._making,
            tools=self._tools,
            facts=facts,
        )

    @property
    def _settings(self) -> SamplingSettings:
        section = self.params.oracle
        return SamplingSettings(
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

    @cached_property
    def _candidates(self) -> Candidates:
        return Candidates(
            seed=self.params.seed,
            classes=self.train.classes,
            labelled=True,
            writer=None,
            prompting=self.train,
            stream=NAME,
        )

    @property
    def _encoding(self) -> Encoding:
        data = self.params.data
        return Encoding("png", data.image_size if data.encoding == "png" else None)

    def _making(self, folder: Path) -> SetInProgress:
        counts = np.bincount(self.train.labels, minlength=len(self.train.classes))
        return SetInProgress(
            name=NAME,
            folder=folder,
            candidates=self._candidates,
            wanted=counts,
            batch=self.params.oracle.compute_batch,
            packed=len(self.train) > SHARD_ABOVE,
            max_candidates=1.0,
            available=counts,
            encoding=self._encoding,
            metadata=self._metadata,
            near_copies=None,
        )

    def _tools(self) -> SamplingTools:
        from synthgap.generation.pipelines.opening import open_sampler

        classes = self.train.classes
        sampler = open_sampler(
            self.pipeline, self._settings, self.params.runtime, classes=classes, prompts=()
        )
        return SamplingTools(sampler, lambda _, requests: [as_asked(one) for one in requests])

    @property
    def _metadata(self) -> ImageMetadata:
        runtime, threads = self.params.runtime, self.params.oracle.threads
        return ImageMetadata(
            {
                "recipe": self.recipe,
                "set": NAME,
                "generator": generator_metadata(self.provenance, (NAME,)),
                "settings": asdict(self._settings),
                "scheduler": scheduler_name(self.pipeline),
                "scheme": None,
                "precision": runtime.precision,
                "compile": runtime.compile,
                "threads": threads,
                "stored": self._encoding.brief,
                "versions": versions_of(machine_of(runtime, threads)),
            }
        )

    @property
    def _shared(self) -> dict[str, Any]:
        section = self.params.oracle
        return {
            "guidance_scale": section.guidance_scale,
            "steps": section.sampling_steps,
            "scheduler": scheduler_name(self.pipeline),
            "generator_digest": self.provenance.sha256,
            "licence": self.provenance.licence,
        }

    def _own(self, number: int) -> Mapping[str, Any]:
        source = self._candidates.source(number)
        assert source is not None, "every candidate is prompted by an image"
        return {"prompt": self.train.paths[source], "seed": self._candidates.noise(number)}

    @property
    def _about(self) -> dict[str, Any]:
        known = self.provenance.real_labels
        return {
            "generator_real_labels": None if known is None else known + len(self.train),
            "prompted_by": {"name": self.train.root.name, "digest": self.train.digest},
            "caveat": CAVEAT,
            "made_with": dict(self._metadata.shared),
            "provenance": self.provenance.as_json(),
            "encoding": self._encoding.as_json(),
            "environment": machine_of(self.params.runtime, self.params.oracle.threads),
        }

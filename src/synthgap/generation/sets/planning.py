"""All that is decided about a set before the first image: generator, prompts, counts, files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from synthgap.artifacts import Artifacts
from synthgap.data.image_set import ImageSet
from synthgap.errors import DataError
from synthgap.generation.checkpoints.provenance import Provenance, checker_digest, locate
from synthgap.generation.filtering.filters import Asked, filters_identity
from synthgap.generation.filtering.near_copies import NearCopies
from synthgap.generation.jobs.recording import machine_of
from synthgap.generation.prompts.schemes import PromptWriter, prompt_writer
from synthgap.generation.samplers.schedulers import scheduler_used
from synthgap.generation.sets.asking import SynthesizeParams, Wanted, wanted_set
from synthgap.generation.sets.candidates import Candidates
from synthgap.generation.sets.counts import counts_of
from synthgap.generation.sets.encoding import Encoding, like_real
from synthgap.generation.sets.making import Making, Tools
from synthgap.generation.sets.nature import Nature, nature_of
from synthgap.generation.sets.story import Story, versions_of

PROMPTED_BY = "unclip"  # the scheme of sets whose prompts are images


@dataclass(frozen=True)
class Plan:
    """One set: what is wanted, and everything that its bytes follow from."""

    params: SynthesizeParams
    artifacts: Artifacts
    wanted: Wanted
    train: ImageSet
    generator: Provenance
    folder: Path  # of the pipeline, or of samples
    nature: Nature
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
        return self.wanted.scheme if self.nature.reads_text else None

    @property
    def sieve(self) -> Asked:
        """What is asked of every sample."""
        return Asked(
            filters=self.params.synthesize.filters,
            min_confidence=self.generator.min_confidence,
            labelled=self.nature.knows_classes,
            classes=self.train.classes,
            batch=self.params.synthesize.compute_batch,
        )

    @cached_property
    def judged_by(self) -> dict[str, Any]:
        """The filters' identity."""
        return filters_identity(self.sieve, self.artifacts)

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
            labelled=self.nature.knows_classes,
            writer=self.writer,
            prompting=self.train if self.nature.needs_images else None,
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
            "prompted_by": self.train.digest if self.nature.needs_images else None,
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
    def story(self) -> Story:
        """What every file of the set tells of it."""
        section = self.params.synthesize
        known = self.generator
        return Story(
            {
                "recipe": self.artifacts.recipe,
                "set": self.wanted.family,
                "generator": {
                    "source": list(self.wanted.source),
                    "digest": known.sha256,
                    "location": known.location if known.revision else None,  # no local path
                    "revision": known.revision,
                    "licence": known.licence,
                },
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

    def making(self, folder: Path) -> Making:
        """The set in the making in `folder`."""
        available = self.nature.available
        return Making(
            name=f"synthesize {self.wanted.name}",
            folder=folder,
            candidates=self.candidates,
            wanted=self.counts,
            batch=self.params.synthesize.compute_batch,
            packed=self.packed,
            max_candidates=self.params.synthesize.max_candidates,
            available=None if available is None else np.asarray(available),
            encoding=self.encoding,
            story=self.story,
            near_copies=self.near_copies,
        )

    def tools(self) -> Tools:
        """Open the generator and the filters.

        Raises:
            SynthgapError: one of them cannot be opened.
        """
        from synthgap.generation.filtering.filters import open_filters
        from synthgap.generation.samplers.opening import open_sampler

        section, runtime = self.params.synthesize, self.params.runtime
        candidates = self.candidates
        zeros = np.zeros_like(self.counts)
        asked = candidates.numbers(zeros, self.counts).tolist() if self.nature.reads_text else []
        sampler = open_sampler(
            self.folder,
            self.wanted.settings(section),
            runtime,
            classes=self.train.classes,
            prompts=list(dict.fromkeys(map(candidates.prompt, asked))),
        )
        return Tools(sampler, open_filters(self.sieve, self.artifacts, runtime))

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


def planned_set(params: SynthesizeParams, artifacts: Artifacts, name: str) -> Plan:
    """Decide everything about the set `name`.

    Raises:
        SynthgapError: generator, prompts, judge or real images are missing or do not go together.
    """
    wanted = wanted_set(name, params.synthesize)
    train = ImageSet.read(artifacts.image_set("train"))
    if not len(train):
        raise DataError(f"{train.root}: no images, expected some of each class; rerun ingest")
    generator = Provenance.read(artifacts, *wanted.source)
    folder = locate(generator, artifacts, *wanted.source)
    nature = nature_of(folder, train.classes)
    writer = None
    if nature.reads_text:
        root, seed = artifacts.root, params.seed
        writer = prompt_writer(wanted.scheme, params.prompts, train.classes, root=root, seed=seed)
    copies = params.synthesize.filters.drop_near_duplicates
    return Plan(
        params=params,
        artifacts=artifacts,
        wanted=wanted,
        train=train,
        generator=generator,
        folder=folder,
        nature=nature,
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

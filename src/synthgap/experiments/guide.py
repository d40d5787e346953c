"""Which guidance pays? Students of synthetic and few real images, by every method of a protocol.

PG/RG (Wang et al.), Tables 2 to 4: zero-shot and low-shot, from random or pretrained weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from synthgap.errors import ParamsError
from synthgap.experiments.references.opened import OpenedReferences
from synthgap.experiments.runs.cell import Cell, make_cell
from synthgap.experiments.runs.sources import REAL, Source, mixed, open_source
from synthgap.experiments.runs.spec import MethodSpec, RunSettings, RunSpec, scale_of
from synthgap.experiments.runs.subsets import per_class
from synthgap.guidance.method_context import MethodContext
from synthgap.guidance.methods import METHODS, Method
from synthgap.guidance.reference import student_from
from synthgap.jobs import Artifacts, Log, content_digest
from synthgap.jobs.device import device_of
from synthgap.models.build import build_student
from synthgap.params.guidance import Guide, GuideProtocol, MethodName
from synthgap.params.sections import Student
from synthgap.seeding import derived_seed
from synthgap.training.loop import Phase
from synthgap.training.train_spec import TrainSpec

HIDDEN = -1  # in place of a label that a method is not given


@dataclass(frozen=True)
class GuideParams(RunSettings):
    """The sections that stage `guide` reads; of `protocols`, the cell's own."""

    guide: Guide
    protocols: dict[str, GuideProtocol]


def guide(params: GuideParams, artifacts: Artifacts, log: Log, *, protocol: str) -> None:
    """Train a student by every method of the protocol, the compared ones with every seed.

    Raises:
        SynthgapError: an image set or a reference is missing, a method cannot do the protocol, or
            a training cannot go on.
    """
    table = ProtocolRuns.open(params, artifacts, protocol)
    section = {"guide": asdict(params.guide), "protocol": asdict(table.protocol)}
    make_cell(Cell("guide", (protocol,), section, table.plans()), params, artifacts, log)


@dataclass(frozen=True)
class ProtocolRuns:
    """All runs of one protocol."""

    params: GuideParams
    artifacts: Artifacts
    name: str
    real: Source
    synthetic: Source
    references: OpenedReferences

    @classmethod
    def open(cls, params: GuideParams, artifacts: Artifacts, name: str) -> ProtocolRuns:
        """Read both sets and the references that some method asks for.

        Raises:
            ParamsError: there is no such protocol, or a method cannot do it.
            SynthgapError: an image set or a reference is missing or damaged.
        """
        if name not in params.protocols:
            raise ParamsError(
                f"params.yaml, grid.guides: {name!r}, expected one of protocols "
                f"({sorted(params.protocols)})"
            )
        protocol = params.protocols[name]
        for method in (*protocol.compared, *protocol.methods):
            check_given(name, protocol, method)
        size = params.data.image_size
        real, synthetic = (
            open_source(artifacts, one, size) for one in (REAL, params.guide.image_set)
        )
        references = OpenedReferences.open(
            artifacts, references_asked(params.guide, protocol), _device(params)
        )
        return cls(params, artifacts, name, real, synthetic, references)

    @property
    def protocol(self) -> GuideProtocol:
        """What the protocol asks for."""
        return self.params.protocols[self.name]

    def plans(self) -> list[RunSpec]:
        """Every run, method by method."""
        seeds = self.params.guide.seeds
        compared = [self.plan(name, seed) for name in self.protocol.compared for seed in seeds]
        return compared + [self.plan(name, seeds[0]) for name in self.protocol.methods]

    def plan(self, name: MethodName, seed: int) -> RunSpec:
        """One run."""
        method, guide = METHODS[name], self.params.guide
        reals, synthetics = self._chosen(method, seed)
        source, indices = self._source(method, reals, synthetics)
        labelled = len(reals) if method.real != "images" else 0
        training = self.params.training
        return RunSpec(
            name=f"{self.name} {name} s{seed}",
            seed=seed,
            source=source,
            indices=indices,
            steps_per_epoch=self._num_steps(),
            guidance_scale=scale_of(guide.image_set) if method.synthetic else None,
            training=replace(
                training,
                augmentation=guide.augmentation,
                epochs=guide.epochs,
                warmup_epochs=min(training.warmup_epochs, guide.epochs - 1),
                last_epochs=min(training.last_epochs, guide.epochs),
            ),
            method_spec=MethodSpec(
                protocol=self.name,
                method=name,
                init=self.protocol.init,
                real_labels=labelled,
                num_real=len(reals),
                num_synthetic=len(synthetics),
                reference_labels=self.references.labels(self._asked(name)),
                digest=self._digest(name),
                phases=partial(self._phases, name, len(reals), len(synthetics)),
                student=self._student(),
                inputs=self.references.inputs(self._asked(name)),
            ),
        )

    def _chosen(self, method: Method, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the real and of the synthetic images: equal for all methods of a seed."""
        drawn = derived_seed(self.params.seed, "run", seed)
        labels, shots = self.real.images.labels, self.protocol.real_per_class
        reals = np.arange(len(labels)) if shots is None else np.arange(0)
        if shots:
            self._check(self.real, shots, "real_per_class")
            reals = per_class(labels, shots, seed=drawn)
        synthetics = np.arange(len(self.synthetic.images))
        if self.protocol.synthetic_ratio is not None:
            self._check(self.synthetic, self._num_each(), "synthetic_ratio")
            synthetics = per_class(self.synthetic.images.labels, self._num_each(), seed=drawn)
        if method.real == "all":
            reals = np.arange(len(labels))
        if method.real == "none":
            reals = np.arange(0)
        return reals, synthetics if method.synthetic else np.arange(0)

    def _check(self, source: Source, wanted: int, key: str) -> None:
        """Refuse more images a class than the smallest class has.

        Raises:
            ParamsError: it has fewer.
        """
        counts = np.bincount(source.images.labels, minlength=len(source.images.classes))
        if counts.min() < wanted:
            raise ParamsError(
                f"params.yaml, protocols.{self.name}.{key}: {wanted} images a class of "
                f"{source.name}, but {source.images.classes[counts.argmin()]} has {counts.min()}; "
                "expected at most that, lower it"
            )

    def _source(
        self, method: Method, reals: np.ndarray, synthetics: np.ndarray
    ) -> tuple[Source, np.ndarray]:
        """The images, the real ones first, and which of them; labels hidden where they must be."""
        if not len(synthetics):
            return self.real, reals
        if not len(reals):
            return self.synthetic, synthetics
        real = self.real if method.real != "images" else _without_labels(self.real)
        indices = np.concatenate([reals, len(self.real.images) + synthetics])
        return mixed(real, self.synthetic), indices

    def _num_steps(self) -> int:
        """Optimiser steps an epoch, of every method: a pass over the synthetic images."""
        num_images = len(self.synthetic.images)
        if self.protocol.synthetic_ratio is not None:
            num_images = self._num_each() * len(self.synthetic.images.classes)
        return max(1, num_images // self.params.training.batch_size)

    def _num_each(self) -> int:
        """Synthetic images a class where a ratio to real ones is asked for."""
        shots, ratio = self.protocol.real_per_class, self.protocol.synthetic_ratio
        assert ratio is not None
        real = self.real.images
        return max(1, round(ratio * (len(real) / len(real.classes) if shots is None else shots)))

    def _student(self) -> Student:
        """From where the protocol starts."""
        student = self.params.student
        if self.protocol.init == "random":
            return student.at_random()
        if self.protocol.init == "pretrained":
            return replace(student, init="pretrained", weights=None)
        return student_from(student, self.references.folder / self.params.guide.csg.reference)

    def _asked(self, name: MethodName) -> list[str]:
        """Names of the references behind a run: of the method, and of the start."""
        alone = replace(self.protocol, compared=(name,), methods=())
        return references_asked(self.params.guide, alone)

    def _digest(self, name: MethodName) -> str:
        return content_digest(
            {
                "method": name,
                "protocol": asdict(self.protocol),
                "references": self.references.inputs(self._asked(name)),
            }
        )

    def _fresh(self, seed: int) -> nn.Module:
        """A student of the same network with random weights."""
        student = self.params.student.at_random()
        return build_student(student, len(self.real.images.classes), seed=seed)

    def _phases(
        self, name: str, num_real: int, num_synthetic: int, model: nn.Module, train_spec: TrainSpec
    ) -> Sequence[Phase]:
        task = MethodContext(
            student=model,
            train_spec=train_spec,
            num_real=num_real,
            num_synthetic=num_synthetic,
            num_classes=len(self.real.images.classes),
            guide=self.params.guide,
            references=self.references.opened,
            fresh=self._fresh,
        )
        return METHODS[name].phases(task)


def check_given(name: str, protocol: GuideProtocol, method: MethodName) -> None:
    """Refuse a method that the protocol gives too little.

    Raises:
        ParamsError: it needs real images, and there are none.
    """
    if protocol.real_per_class == 0 and METHODS[method].real in {"labels", "images"}:
        raise ParamsError(
            f"params.yaml, protocols.{name}: {method} needs real images, but real_per_class is 0; "
            "expected more, or the method left out"
        )


def references_asked(guide: Guide, protocol: GuideProtocol) -> list[str]:
    """Names of the references that a protocol's methods and its start ask for."""
    asks = [METHODS[name].asks for name in (*protocol.compared, *protocol.methods)]
    names = [str(getattr(guide, section).reference) for section in asks if section is not None]
    if protocol.init == "reference":
        names.append(guide.csg.reference)
    return list(dict.fromkeys(names))


def _device(params: GuideParams) -> str:
    return device_of(params.runtime).type


def _without_labels(source: Source) -> Source:
    hidden = torch.full_like(source.labelled.labels, HIDDEN)
    return replace(source, labelled=replace(source.labelled, labels=hidden))

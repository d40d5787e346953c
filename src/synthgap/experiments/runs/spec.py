"""A run that is to be made: what is learned, from which donor, and how the record names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from torch import nn

from synthgap.experiments.runs.sources import MIXED, STYLISED, Source
from synthgap.jobs import Artifacts, content_digest
from synthgap.models.checkpoint import load_weights
from synthgap.params.sections import Data, Runtime, SetName, Student, Train, Training
from synthgap.training.batch_samplers import MixtureBatchSampler
from synthgap.training.loop import Phase
from synthgap.training.train_spec import TrainSpec


@dataclass(frozen=True)
class RunSettings:
    """The sections of params.yaml that every training stage reads."""

    seed: int
    runtime: Runtime
    data: Data
    student: Student
    training: Training
    train: Train


@dataclass(frozen=True)
class Donor:
    """A trained student whose first units are taken over."""

    set_name: str
    seed: int
    stem: str  # path of its checkpoint, without suffix
    weights_sha256: str
    labels: int  # real labels it has learned from
    generator_labels: int | None  # and those behind its images
    run_digest: str

    @classmethod
    def open(cls, artifacts: Artifacts, set_name: str, seed: int) -> Donor:
        """Check and describe a donor that stage `train` has written.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        stem = artifacts.cell("train", set_name) / f"student-s{seed}"
        about = load_weights(stem)[1]
        return cls(
            set_name=set_name,
            seed=seed,
            stem=str(stem),
            weights_sha256=about["weights_sha256"],
            labels=about["real_labels"]["student"],
            generator_labels=about["real_labels"]["generator"],
            run_digest=about["run"],
        )


@dataclass(frozen=True)
class DistillationSpec:
    """What a second teacher says of a run's images and classes (MtG eq. 1)."""

    embeddings: np.ndarray  # (num_images of the source, dim) float32
    anchors: np.ndarray  # (num_classes, dim) float32, of the class names
    digest: str  # of the teacher


@dataclass(frozen=True)
class MethodSpec:
    """How a run learns where that is not one plain training.

    `digest` and `inputs` ({path: digest}) are of all that determines its phases besides the run's
    own training; `student` replaces that of params.yaml where another start is asked for.
    """

    protocol: str
    method: str
    init: str
    real_labels: int  # that the method itself is given
    num_real: int  # images, with labels or without
    num_synthetic: int
    reference_labels: int | None  # behind the networks that guide it; None where nobody knows
    digest: str
    phases: Callable[[nn.Module, TrainSpec], Sequence[Phase]]
    student: Student
    inputs: Mapping[str, str] = field(default_factory=dict)

    def coordinates(self) -> dict[str, Any]:
        """What the record says of it."""
        return {
            "protocol": self.protocol,
            "method": self.method,
            "init": self.init,
            "num_real_images": self.num_real,
            "num_synthetic_images": self.num_synthetic,
        }


def donor_seed(seeds: tuple[int, ...], seed: int) -> int:
    """The donor's seed for a student of `seed`: the next one, so that their starts differ.

    With the same seed, the relearned tail would begin where the donor's own tail began.
    """
    return seeds[(seeds.index(seed) + 1) % len(seeds)]


NO_METHOD: Mapping[str, Any] = dict.fromkeys(("protocol", "method", "init"))


def scale_of(set_name: str) -> float | None:
    """The guidance scale in the name of a synthetic set or of one stylised from it, else None."""
    named = SetName.parse(set_name.removesuffix(STYLISED))
    return named.guidance_scale if named else None


@dataclass(frozen=True)
class RunSpec:
    """One run. `mode` says what happens to the donor's units [0, depth).

    `training` replaces that of params.yaml where an ablation changes it; `ablation` and `variant`
    name what is changed.
    """

    name: str
    seed: int
    source: Source
    donor: Donor | None = None
    depth: int = 0
    mode: Literal["scratch", "freeze", "finetune"] = "scratch"
    direction: str | None = None
    arm: str | None = None
    denominator: int = 1
    share: float | None = None  # of a synthetic or real set, where that is no 1/denominator
    indices: np.ndarray | None = None  # (num_images,) of the source; None is all of it
    steps_per_epoch: int | None = None
    guidance_scale: float | None = None
    ablation: str | None = None
    variant: str | None = None
    training: Training | None = None
    mixture: MixtureBatchSampler | None = None
    distillation: DistillationSpec | None = None
    method_spec: MethodSpec | None = None

    @property
    def num_images(self) -> int:
        """How many images the run learns from."""
        if self.mixture is not None:
            return self.mixture.num_images
        return len(self.source.images) if self.indices is None else len(self.indices)

    @property
    def num_real(self) -> int:
        """How many real labels the student itself uses."""
        if self.method_spec is not None:
            return self.method_spec.real_labels
        if self.mixture is not None:
            return self.mixture.num_real_seen
        if self.indices is not None and self.source.kind == MIXED:  # the real ones come first
            return int((self.indices < len(self.source.parts[0].images)).sum())
        return 0 if self.source.kind == "synthetic" else self.num_images

    def coordinates(self) -> dict[str, Any]:
        """What the record says about the run besides its numbers."""
        behind = [self.source.generator_labels]
        if self.donor:
            behind.append(self.donor.generator_labels)
        return {
            "name": self.name,
            "set": self.source.name,
            "source": self.source.kind,
            "donor_set": self.donor.set_name if self.donor else None,
            "donor_seed": self.donor.seed if self.donor else None,
            "direction": self.direction,
            "arm": self.arm,
            "ablation": self.ablation,
            "variant": self.variant,
            **(self.method_spec.coordinates() if self.method_spec else NO_METHOD),
            "depth": self._recorded_depth(),
            "fraction": 1 / self.denominator if self.share is None else self.share,
            "guidance_scale": self.guidance_scale,
            **self.source.setting,
            "seed": self.seed,
            "num_images": self.num_images,
            "real_labels": {
                "generator": None if None in behind else max(count or 0 for count in behind),
                "donor": self.donor.labels if self.donor else 0,
                "student": self.num_real,
                **({"reference": self.method_spec.reference_labels} if self.method_spec else {}),
            },
        }

    def _recorded_depth(self) -> int | None:
        if self.donor is None and self.arm is None:
            return None
        return self.depth if self.mode == "freeze" else 0  # fine-tuning freezes nothing

    def digest(self, identity: Mapping[str, Any]) -> str:
        """Hex sha256 of everything that determines this run inside a cell's identity."""
        return content_digest(
            {
                **identity,
                "run": self.coordinates(),
                "set_digest": self.source.images.digest,
                "donor": self.donor.weights_sha256 if self.donor else None,
                "mode": self.mode,
                "indices": None if self.indices is None else self.indices.tolist(),
                "steps_per_epoch": self.steps_per_epoch,
                "training": asdict(self.training) if self.training else None,
                "mixture": asdict(self.mixture) if self.mixture else None,
                "teacher": self.distillation.digest if self.distillation else None,
                "course": self.method_spec.digest if self.method_spec else None,
            }
        )

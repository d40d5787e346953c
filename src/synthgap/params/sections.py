"""The typed sections of params.yaml: frozen, complete, without defaults in code.

`reading.py` fills them; a section's `problems()` names what is contradictory inside it, with what
is allowed. Lists that DVC expands into cells live in `Grid` alone, so that adding a depth or a
fraction changes no cell that exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from synthgap.params.derived import Oracle, StylePin, Stylise, Teacher
from synthgap.params.generators import (
    Autoencoder,
    Denoiser,
    Generator,
    Pin,
    Rival,
    Transformer,
)
from synthgap.params.guidance import Guide, GuideProtocol
from synthgap.params.images import Data, Splits, SplitSize, Validate
from synthgap.params.references import Reference
from synthgap.params.students import (
    Ablate,
    Clone,
    Control,
    Gap,
    Layers,
    Reduce,
    Student,
    Subset,
    Train,
    Transfer,
)
from synthgap.params.studies import Study, Tune
from synthgap.params.synthesis import (
    Fidelity,
    Filters,
    Judge,
    NetworkPin,
    Prompts,
    SetName,
    Synthesize,
)
from synthgap.params.training import AugMix, Crops, PixMix, Training

__all__ = [
    "Ablate",
    "AugMix",
    "Autoencoder",
    "Clone",
    "Control",
    "Crops",
    "Data",
    "Denoiser",
    "Fidelity",
    "Filters",
    "Gap",
    "Generator",
    "Grid",
    "Guide",
    "GuideProtocol",
    "Judge",
    "Layers",
    "NetworkPin",
    "Oracle",
    "Params",
    "Pin",
    "PixMix",
    "Prompts",
    "Reduce",
    "Reference",
    "Register",
    "Rival",
    "Runtime",
    "SetName",
    "SplitSize",
    "Splits",
    "Student",
    "Study",
    "StylePin",
    "Stylise",
    "Subset",
    "Summarise",
    "Synthesize",
    "Teacher",
    "Train",
    "Training",
    "Transfer",
    "Transformer",
    "Tune",
    "Validate",
]

Ablation = Literal["normalisation", "augmentation", "stylised", "oracle", "supervision", "sources"]


@dataclass(frozen=True)
class Runtime:
    """How things run: outside the parameters that define a result, but for `threads`."""

    threads: int
    workers: int
    processes: int
    sync_batch_norm: bool
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["fp32", "bf16", "fp16"]
    compile: bool
    checkpoint_every_epochs: int
    checkpoint_every_steps: int | None

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        for name in ("threads", "workers", "processes", "checkpoint_every_epochs"):
            if getattr(self, name) < 1:
                yield f"{name}: {getattr(self, name)}, expected at least 1"
        steps = self.checkpoint_every_steps
        if steps is not None and steps < 1:
            yield f"checkpoint_every_steps: {steps}, expected at least 1, or null"
        if self.sync_batch_norm and self.device == "cpu":
            yield "sync_batch_norm: true, but device: cpu; it needs GPUs, set it to false"


@dataclass(frozen=True)
class Register:
    """Which donors' prefixes are published; `seed` names the donor run whose weights they are."""

    guidance_scale: float
    seed: int


@dataclass(frozen=True)
class Summarise:
    """Intervals of the report: paired bootstrap over test images."""

    resamples: int
    confidence: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.resamples < 100:
            yield f"resamples: {self.resamples}, expected at least 100"
        if not 0.5 <= self.confidence < 1:
            yield f"confidence: {self.confidence}, expected 0.5 up to (not including) 1"


@dataclass(frozen=True)
class Grid:
    """The lists that dvc.yaml expands into cells."""

    rivals: tuple[str, ...]
    synthetic_sets: tuple[str, ...]
    sets: tuple[str, ...]
    depths: tuple[int, ...]
    control_depths: tuple[int, ...]
    fractions: tuple[int, ...]
    ablations: tuple[Ablation, ...]
    clones: tuple[str, ...]
    references: tuple[str, ...]
    guides: tuple[str, ...]

    def problems(self) -> Iterator[str]:
        """Name every list that is empty, repeats itself or holds a value out of range."""
        for name in self.__dataclass_fields__:
            values = getattr(self, name)
            if len(set(values)) != len(values):
                yield f"{name}: {list(values)} repeats a value"
            if not values:
                yield f"{name}: [], expected at least one value (DVC has no empty sweep)"
        for name in ("depths", "control_depths", "fractions"):
            if any(value < 1 for value in getattr(self, name)):
                yield f"{name}: {list(getattr(self, name))}, expected whole numbers from 1"


@dataclass(frozen=True)
class Params:
    """The whole of params.yaml."""

    recipe: str
    seed: int
    runtime: Runtime
    data: Data
    judge: Judge
    generator: Generator
    rivals: dict[str, Rival]
    prompts: Prompts
    synthesize: Synthesize
    teacher: Teacher
    oracle: Oracle
    stylise: Stylise
    fidelity: Fidelity
    validate: Validate
    student: Student
    training: Training
    train: Train
    transfer: Transfer
    control: Control
    reduce: Reduce
    ablate: Ablate
    clone: Clone
    layers: Layers
    references: dict[str, Reference]
    guide: Guide
    protocols: dict[str, GuideProtocol]
    gap: Gap
    tune: Tune
    studies: dict[str, Study]
    register: Register
    summarise: Summarise
    grid: Grid

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
from synthgap.params.gate import Validate
from synthgap.params.generators import (
    Autoencoder,
    Denoiser,
    Generator,
    Pin,
    Rival,
    Transformer,
)
from synthgap.params.images import Data, Splits, SplitSize
from synthgap.params.set_names import FORM, LEAST_FACTOR, MOST_FACTOR, SetName
from synthgap.params.students import (
    Ablate,
    Clone,
    Control,
    Layers,
    Reduce,
    Student,
    Subset,
    Train,
    Transfer,
)
from synthgap.params.synthesis import Fidelity, Filters, Judge, NetworkPin, Prompts, Synthesize
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
    "Generator",
    "Grid",
    "Judge",
    "Layers",
    "NetworkPin",
    "Oracle",
    "Params",
    "Pin",
    "PixMix",
    "Prompts",
    "Reduce",
    "Register",
    "Rival",
    "Runtime",
    "SetName",
    "SplitSize",
    "Splits",
    "Student",
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
    reduce_depths: tuple[int, ...]
    ablations: tuple[Ablation, ...]
    clones: tuple[str, ...]

    def problems(self) -> Iterator[str]:
        """Name every list that is empty, repeats itself or holds a value out of range."""
        for name in self.__dataclass_fields__:
            values = getattr(self, name)
            if len(set(values)) != len(values):
                yield f"{name}: {list(values)} repeats a value"
            if not values:
                yield f"{name}: [], expected at least one value (DVC has no empty sweep)"
        for name in ("depths", "control_depths", "fractions", "reduce_depths"):
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
    register: Register
    summarise: Summarise
    grid: Grid

    def problems(self) -> Iterator[str]:
        """Name every contradiction between sections."""
        for name in ("transfer", "control", "reduce", "ablate", "layers", "register"):
            scale = getattr(self, name).guidance_scale
            if f"g{scale}" not in self.grid.sets or f"g{scale}" not in self.grid.synthetic_sets:
                yield (
                    f"{name}.guidance_scale: {scale}, expected one whose set (g{scale}) is both in "
                    "grid.synthetic_sets and in grid.sets"
                )
        if self.stylise.guidance_scale != self.ablate.guidance_scale:
            yield (
                f"stylise.guidance_scale: {self.stylise.guidance_scale}, expected "
                f"{self.ablate.guidance_scale}, that of ablate, whose Table 3 reads it"
            )
        if self.training.supervision != "labels":
            yield (
                f"training.supervision: {self.training.supervision}, expected labels: a teacher is "
                "asked by the table `supervision` of stage ablate alone"
            )
        yield from self._generator_problems()
        yield from self._prompt_problems()
        yield from self._set_problems()
        yield from self._split_problems()

    def _generator_problems(self) -> Iterator[str]:
        for name in self.grid.rivals:
            if name not in self.rivals:
                yield f"grid.rivals: {name!r}, expected one of rivals ({sorted(self.rivals)})"
            elif self.rivals[name].kind == "train" and self.generator.kind != "train":
                kind = self.generator.kind
                yield f"rivals.{name}.kind: train, but generator.kind: {kind}; expected pin, folder"
        for name in self.grid.synthetic_sets:
            parsed = SetName.parse(name)
            if parsed is None:
                yield f"grid.synthetic_sets: {name!r}, expected {FORM}"
            elif parsed.rival is not None and parsed.rival not in self.grid.rivals:
                known = list(self.grid.rivals)
                yield f"grid.synthetic_sets: {name!r}, expected a rival of grid.rivals ({known})"
            elif parsed.factor is not None and not LEAST_FACTOR <= parsed.factor <= MOST_FACTOR:
                yield (
                    f"grid.synthetic_sets: {name!r}, expected a factor from {LEAST_FACTOR:g} to "
                    f"{MOST_FACTOR:g}"
                )

    def _prompt_problems(self) -> Iterator[str]:
        """DVC sees changes in the recipe's own folder of prompts alone."""
        for name in ("templates", "classes", "backgrounds", "captions"):
            path = getattr(self.prompts, name)
            folder = f"prompts/{self.recipe}/"
            if path is not None and not path.startswith(folder):
                yield f"prompts.{name}: {path!r}, expected a file in {folder}, or null"

    def _set_problems(self) -> Iterator[str]:
        known = {"corpus", "train", *self.grid.synthetic_sets}
        lists = {"grid.sets": self.grid.sets, "grid.clones": self.grid.clones}
        lists["clone.curve_sets"] = self.clone.curve_sets
        for place, names in lists.items():
            for name in names:
                if name not in known:
                    yield f"{place}: {name!r}, expected one of {sorted(known)}"
        yield from self._seed_problems()

    def _seed_problems(self) -> Iterator[str]:
        for name in ("transfer", "control", "reduce", "ablate", "layers"):
            extra = sorted(set(getattr(self, name).seeds) - set(self.train.seeds))
            if extra:
                yield f"{name}.seeds: {extra} have no donor; expected some of train.seeds"
        if self.register.seed not in self.train.seeds:
            yield f"register.seed: {self.register.seed}, expected one of train.seeds"

    def _split_problems(self) -> Iterator[str]:
        if self.generator.kind == "train" and self.data.splits.corpus == "none":
            yield "data.splits.corpus: none, but generator.kind: train needs images to learn from"
        for name in ("teacher", "oracle", "stylise"):
            trained = getattr(self, name).kind == "train"
            if trained and self.data.splits.corpus == "none":
                yield f"{name}.kind: train, but data.splits.corpus is none; set {name}.pin"
            if trained and name != "stylise" and self.generator.kind != "train":
                kind = self.generator.kind
                yield f"{name}.kind: train, but generator.kind: {kind}; expected {name}.pin too"
        if "corpus" in self.grid.sets and self.data.splits.corpus == "none":
            yield "grid.sets: 'corpus', but data.splits.corpus is none"
        judge = self.judge
        blind = judge.learns_from == "corpus" and self.data.splits.corpus == "none"
        if judge.kind == "train" and blind:
            yield "judge.learns_from: corpus, but data.splits.corpus is none; expected train"
        if "train" not in self.grid.sets:
            yield "grid.sets: expected `train`, the real set that every gap is measured against"

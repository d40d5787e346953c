"""The typed sections of params.yaml: frozen, complete, without defaults in code.

`reading.py` fills them; a section's `problems()` names what is contradictory inside it, with what
is allowed. Lists that DVC expands into cells live in `Grid` alone, so that adding a depth or a
fraction changes no cell that exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

SplitSize = int | float | Literal["rest", "official", "none"]


@dataclass(frozen=True)
class Runtime:
    """How things run; only `threads` and `precision` may change a result's bits."""

    threads: int
    workers: int
    checkpoint_every_epochs: int
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["fp32", "bf16", "fp16"]

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.threads < 1:
            yield f"threads: {self.threads}, expected at least 1"
        if self.workers < 1:
            yield f"workers: {self.workers}, expected at least 1"
        if self.checkpoint_every_epochs < 1:
            yield f"checkpoint_every_epochs: {self.checkpoint_every_epochs}, expected at least 1"


@dataclass(frozen=True)
class Splits:
    """Size of each split: images a class (int), a share of the class (float below 1), or a word."""

    corpus: SplitSize
    train: SplitSize
    val: SplitSize
    test: SplitSize

    def problems(self) -> Iterator[str]:
        """Name every size that cannot be met whatever the images are."""
        sizes = {"corpus": self.corpus, "train": self.train, "val": self.val, "test": self.test}
        for name, size in sizes.items():
            if isinstance(size, int) and size < 1:
                yield f"{name}: {size}, expected at least 1 image a class"
            if isinstance(size, float) and not 0 < size < 1:
                yield f"{name}: {size}, expected a share between 0 and 1"
            if size == "official" and name in ("corpus", "train"):
                yield f"{name}: official, but only val and test can be an official folder"
        yield from self._sum_problems(list(sizes.values()))

    def _sum_problems(self, sizes: list[SplitSize]) -> Iterator[str]:
        if sizes.count("rest") > 1:
            yield "at most one split can be `rest`"
        if "none" in (self.train, self.test):
            yield "train and test cannot be `none`"
        shares = sum(size for size in sizes if isinstance(size, float))
        if shares > 1:
            yield f"shares sum to {shares:g}, expected at most 1"


@dataclass(frozen=True)
class Data:
    """Which image set under data/ is used, and how ingest stores it."""

    name: str
    image_size: int
    encoding: Literal["png", "original"]
    splits: Splits

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.image_size < 8:
            yield f"image_size: {self.image_size}, expected at least 8 px"
        if not self.name or self.name != self.name.strip("./\\") or "/" in self.name:
            yield f"name: {self.name!r}, expected the name of a folder in data/"


@dataclass(frozen=True)
class Pin:
    """A generator made elsewhere: hub id or local folder, with what pins it."""

    location: str
    revision: str | None
    sha256: str | None


@dataclass(frozen=True)
class Autoencoder:
    """AutoencoderKL of the locally trained generator."""

    channels: tuple[int, ...]
    latent_channels: int
    steps: int
    batch_size: int
    learning_rate: float
    kl_weight: float


@dataclass(frozen=True)
class Denoiser:
    """Text encoder and UNet2DConditionModel of the locally trained generator."""

    channels: tuple[int, ...]
    text_width: int
    steps: int
    batch_size: int
    learning_rate: float
    caption_dropout: float
    ema_decay: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if not 0 <= self.caption_dropout < 1:
            yield f"caption_dropout: {self.caption_dropout}, expected 0 up to (not including) 1"
        if not 0 <= self.ema_decay < 1:
            yield f"ema_decay: {self.ema_decay}, expected 0 up to (not including) 1"


@dataclass(frozen=True)
class Generator:
    """Where synthetic images come from: trained here on `corpus`, or pinned."""

    kind: Literal["train", "pin"]
    pin: Pin | None
    threads: int
    checkpoint_every_steps: int
    autoencoder: Autoencoder
    denoiser: Denoiser

    def problems(self) -> Iterator[str]:
        """Name every contradiction between the kind and its settings."""
        if self.kind == "pin" and self.pin is None:
            yield "kind: pin, but `pin` is null; expected location, revision, sha256"
        if self.kind == "train" and self.pin is not None:
            yield "kind: train, but `pin` is set; expected pin: null"
        if self.threads < 1:
            yield f"threads: {self.threads}, expected at least 1"


@dataclass(frozen=True)
class Synthesize:
    """How a synthetic set is sampled; the guidance scale is the cell's coordinate."""

    prompt: str
    negative_prompt: str
    per_class: int | Literal["as_train"]
    steps: int
    width: int
    height: int
    compute_batch: int
    threads: int

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if "{class}" not in self.prompt:
            yield f"prompt: {self.prompt!r}, expected a template that contains {{class}}"
        for name in ("steps", "width", "height", "compute_batch", "threads"):
            if getattr(self, name) < 1:
                yield f"{name}: {getattr(self, name)}, expected at least 1"
        if isinstance(self.per_class, int) and self.per_class < 1:
            yield f"per_class: {self.per_class}, expected at least 1 or `as_train`"


@dataclass(frozen=True)
class Validate:
    """Limits of the gate. Shares are of one set's images; distances and levels are grey levels, 0 to 255.

    Two images are near-copies when their distance is at most `near_margin` times the
    `near_quantile` of nearest-neighbour distances within `corpus`.
    """

    near_size_px: int
    near_shift_px: int
    near_quantile: float
    near_margin: float
    max_real_copy_share: float
    max_memorised_share: float
    max_leaked_share: float
    max_synthetic_duplicate_share: float
    max_class_imbalance: float
    min_pixel_std: float
    max_channel_mean_shift: float
    max_channel_std_ratio: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if not 4 <= self.near_size_px <= 32:
            yield f"near_size_px: {self.near_size_px}, expected 4 to 32"
        if not 0 <= self.near_shift_px <= 3:
            yield f"near_shift_px: {self.near_shift_px}, expected 0 to 3"
        if not 0 < self.near_quantile < 1:
            yield f"near_quantile: {self.near_quantile}, expected between 0 and 1"
        if self.near_margin <= 0:
            yield f"near_margin: {self.near_margin}, expected above 0"
        for name in self.__dataclass_fields__:
            if name.endswith("_share") and not 0 <= getattr(self, name) <= 1:
                yield f"{name}: {getattr(self, name)}, expected a share, 0 to 1"
        for name in ("max_class_imbalance", "max_channel_std_ratio"):
            if getattr(self, name) < 1:
                yield f"{name}: {getattr(self, name)}, expected a ratio of at least 1"
        for name in ("min_pixel_std", "max_channel_mean_shift"):
            if getattr(self, name) < 0:
                yield f"{name}: {getattr(self, name)}, expected at least 0"


@dataclass(frozen=True)
class Student:
    """The classifier: a timm name, its keyword arguments and the head."""

    model: str
    options: dict[str, int | float | str | bool | tuple[int, ...]]
    head: Literal["cosine", "linear"]
    temperature: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.temperature <= 0:
            yield f"temperature: {self.temperature}, expected above 0"


@dataclass(frozen=True)
class Crops:
    """One group of crops of the multi-crop policy."""

    count: int
    size: int
    scale: tuple[float, float]
    flip: float
    jitter: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    grayscale: float
    blur: float
    solarise: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        low, high = self.scale
        if not 0 < low <= high <= 1:
            yield f"scale: [{low}, {high}], expected 0 < low <= high <= 1"
        if self.count < 0 or self.size < 4:
            yield f"count: {self.count}, size: {self.size}, expected count >= 0 and size >= 4"
        for name in ("flip", "jitter", "grayscale", "blur", "solarise"):
            if not 0 <= getattr(self, name) <= 1:
                yield f"{name}: {getattr(self, name)}, expected a probability"
        if not 0 <= self.hue <= 0.5:
            yield f"hue: {self.hue}, expected 0 to 0.5"


@dataclass(frozen=True)
class Training:
    """One student's training: optimiser, schedule (MtG eq. 4) and augmentation."""

    epochs: int
    batch_size: int
    base_lr: float
    final_lr: float
    warmup_epochs: int
    momentum: float
    weight_decay: float
    last_epochs: int
    frozen_bn_stats: Literal["eval", "update"]
    running_stats: Literal["all_crops", "global_crops"]
    normalise: Literal["imagenet", "train_set"]
    augmentation: Literal["dino", "pytorch", "none"]
    global_crops: Crops
    local_crops: Crops

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.epochs < 1 or self.batch_size < 1:
            yield f"epochs: {self.epochs}, batch_size: {self.batch_size}, expected at least 1"
        if not 0 <= self.warmup_epochs < self.epochs:
            yield f"warmup_epochs: {self.warmup_epochs}, expected 0 to {self.epochs - 1}"
        if not 1 <= self.last_epochs <= self.epochs:
            yield f"last_epochs: {self.last_epochs}, expected 1 to {self.epochs} (epochs)"
        if self.base_lr <= 0:
            yield f"base_lr: {self.base_lr}, expected above 0"
        if self.global_crops.count < 1:
            yield "global_crops.count: expected at least 1"


@dataclass(frozen=True)
class Train:
    """From-scratch students, one cell a source."""

    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Transfer:
    """Layer-wise transfer in both directions, one cell a depth."""

    guidance_scale: float
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Control:
    """real->real and synthetic->synthetic, one cell a depth: what freezing itself costs."""

    guidance_scale: float
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Reduce:
    """Fewer real labels, with and without a synthetic donor."""

    guidance_scale: float
    seeds: tuple[int, ...]
    subset: Literal["stratified", "uniform"]
    budget: Literal["epochs", "iterations"]


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

    guidance_scales: tuple[float, ...]
    sets: tuple[str, ...]
    depths: tuple[int, ...]
    control_depths: tuple[int, ...]
    fractions: tuple[int, ...]
    reduce_depths: tuple[int, ...]

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
    generator: Generator
    synthesize: Synthesize
    validate: Validate
    student: Student
    training: Training
    train: Train
    transfer: Transfer
    control: Control
    reduce: Reduce
    register: Register
    summarise: Summarise
    grid: Grid

    def problems(self) -> Iterator[str]:
        """Name every contradiction between sections."""
        for name in ("transfer", "control", "reduce", "register"):
            scale = getattr(self, name).guidance_scale
            if f"g{scale}" not in self.grid.sets or scale not in self.grid.guidance_scales:
                yield (
                    f"{name}.guidance_scale: {scale}, expected one of grid.guidance_scales "
                    f"{list(self.grid.guidance_scales)} whose set (g{scale}) is in grid.sets"
                )
        known = {"corpus", "train", *(f"g{scale}" for scale in self.grid.guidance_scales)}
        for name in self.grid.sets:
            if name not in known:
                yield f"grid.sets: {name!r}, expected one of {sorted(known)}"
        for name in ("transfer", "control", "reduce"):
            extra = sorted(set(getattr(self, name).seeds) - set(self.train.seeds))
            if extra:
                yield f"{name}.seeds: {extra} have no donor; expected some of train.seeds"
        if self.register.seed not in self.train.seeds:
            yield f"register.seed: {self.register.seed}, expected one of train.seeds"
        yield from self._split_problems()

    def _split_problems(self) -> Iterator[str]:
        if self.generator.kind == "train" and self.data.splits.corpus == "none":
            yield "data.splits.corpus: none, but generator.kind: train needs images to learn from"
        if "corpus" in self.grid.sets and self.data.splits.corpus == "none":
            yield "grid.sets: 'corpus', but data.splits.corpus is none"
        if "train" not in self.grid.sets:
            yield "grid.sets: expected `train`, the real set that every gap is measured against"

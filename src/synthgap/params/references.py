"""Frozen reference networks, and the guidance methods that answer to one: ASG and CSG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from synthgap.params.synthesis import NetworkPin


@dataclass(frozen=True)
class Pretext:
    """How a reference learns on `corpus` without labels.

    `task`: contrastive (SimCLR, Chen et al. 2020) or rotation (Gidaris et al. 2018). `model` null
    is the student's own network. Crops are the student's global ones but for `scale` and `jitter`.
    """

    task: Literal["contrastive", "rotation"]
    model: str | None
    options: dict[str, int | float | str | bool | tuple[int, ...]]
    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "adam", "adamw"]
    learning_rate: float
    weight_decay: float
    scale: tuple[float, float]
    jitter: float
    temperature: float
    projection: int
    seed: int

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.model is None and self.options:
            yield f"options: {self.options}, expected {{}}, since model: null has the student's"
        if self.batch_size < 2:
            yield f"batch_size: {self.batch_size}, expected at least 2 (images to tell apart)"
        for name in ("epochs", "projection", "learning_rate", "temperature"):
            if getattr(self, name) <= 0:
                yield f"{name}: {getattr(self, name)}, expected above 0"
        low, high = self.scale
        if not 0 < low <= high <= 1:
            yield f"scale: [{low}, {high}], expected 0 < low <= high <= 1"
        if not 0 <= self.jitter <= 1:
            yield f"jitter: {self.jitter}, expected a probability"


@dataclass(frozen=True)
class Reference:
    """A frozen network to be guided by: self-supervised here (`pretext`) or made elsewhere."""

    kind: Literal["train", "pin"]
    pin: NetworkPin | None
    pretext: Pretext | None

    def problems(self) -> Iterator[str]:
        """Name every contradiction."""
        for name, kind in (("pin", "pin"), ("pretext", "train")):
            given = getattr(self, name) is not None
            if given != (self.kind == kind):
                state = "set" if given else "null"
                yield f"kind: {self.kind}, but `{name}` is {state}; expected it with {kind} alone"


@dataclass(frozen=True)
class Asg:
    """Automated synthetic-to-real generalisation (Chen et al., ICML 2020), its first stage alone.

    `weight` of the divergence between a second head's answer and the reference's own, both over
    `temperature`.
    """

    reference: str
    weight: float
    temperature: float

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.weight < 0:
            yield f"weight: {self.weight}, expected at least 0"
        if self.temperature <= 0:
            yield f"temperature: {self.temperature}, expected above 0"


@dataclass(frozen=True)
class Csg:
    """Contrastive syn-to-real generalisation (Chen et al., ICLR 2021).

    `weight` of the contrastive loss after each of `units` (numbers of leading units), over
    `temperature`, between projections of `projection` values.
    """

    reference: str
    weight: float
    temperature: float
    units: tuple[int, ...]
    pooling: Literal["attention", "average"]
    projection: int

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if self.weight < 0:
            yield f"weight: {self.weight}, expected at least 0"
        if self.temperature <= 0:
            yield f"temperature: {self.temperature}, expected above 0"
        if not self.units or len(set(self.units)) < len(self.units) or min(self.units) < 1:
            yield f"units: {list(self.units)}, expected numbers from 1, without repeats"
        if self.projection < 1:
            yield f"projection: {self.projection}, expected at least 1"

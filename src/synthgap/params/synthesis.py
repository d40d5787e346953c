"""Names of synthetic sets: they say everything in which sets of one recipe may differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

Scheme = Literal[
    "template", "name", "hypernym", "definition", "background", "templates", "captions"
]
SCHEMES: tuple[str, ...] = get_args(Scheme)
FORM = "[<rival>-]g<guidance scale>[-<prompt scheme>][-s<steps>][-x<factor>], or a rival alone"
LEAST_FACTOR, MOST_FACTOR = 0.1, 50.0

_RIVAL = r"[a-z][a-z0-9_]*"
_NAME = re.compile(
    rf"(?:(?P<rival>{_RIVAL})-)?g(?P<scale>\d+\.\d+)(?:-(?P<scheme>{'|'.join(SCHEMES)}))?"
    r"(?:-s(?P<steps>[1-9]\d*))?(?:-x(?P<factor>\d+(?:\.\d+)?))?"
)
_UNGUIDED = re.compile(rf"(?!g\d)(?P<rival>{_RIVAL})(?:-x(?P<factor>\d+(?:\.\d+)?))?")


@dataclass(frozen=True)
class SetName:
    """What a synthetic set's name says; None where it leaves the choice to `synthesize`.

    `rival` names another generator than the recipe's own. `factor` multiplies the count a class.
    Without a guidance scale nothing guides: samples from a folder, or without conditions.
    """

    rival: str | None
    guidance_scale: float | None
    scheme: Scheme | None
    steps: int | None
    factor: float | None

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Read a name, or return None where it is no synthetic set's (`train`, `g2.0-stylised`)."""
        found = _NAME.fullmatch(name)
        if found is None:
            return cls._unguided(name)
        steps = found["steps"]
        return cls(
            rival=found["rival"],
            guidance_scale=float(found["scale"]),
            scheme=cast("Scheme | None", found["scheme"]),
            steps=None if steps is None else int(steps),
            factor=_number(found["factor"]),
        )

    @property
    def name(self) -> str:
        """The name that says this."""
        scale = None if self.guidance_scale is None else f"g{float(self.guidance_scale)}"
        parts = [self.rival, scale, self.scheme]
        parts += [None if self.steps is None else f"s{self.steps}"]
        parts += [None if self.factor is None else f"x{self.factor:g}"]
        return "-".join(part for part in parts if part is not None)

    @classmethod
    def _unguided(cls, name: str) -> Self | None:
        found = _UNGUIDED.fullmatch(name)
        if found is None or found["rival"] in ("corpus", "train", "val", "test", "oracle"):
            return None
        return cls(found["rival"], None, None, None, _number(found["factor"]))


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


@dataclass(frozen=True)
class Prompts:
    """Where the words of prompts come from; files are relative to the checkout.

    `classes` is a YAML file of one's own (class folder: name, hypernym, definition or synset);
    without it class names are the folders', and WordNet's where those are synset ids.
    """

    template: str
    templates: str | None
    classes: str | None
    wordnet: str | None
    backgrounds: str | None
    captions: str | None

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        if "{class}" not in self.template:
            yield f"template: {self.template!r}, expected one that contains {{class}}"


@dataclass(frozen=True)
class Filters:
    """Which samples are dropped and sampled again; null: not asked."""

    min_confidence: float | None
    min_clip_score: float | None
    drop_near_duplicates: bool
    safety: bool

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        confidence, score = self.min_confidence, self.min_clip_score
        if confidence is not None and not 0 <= confidence < 1:
            yield f"min_confidence: {confidence}, expected 0 up to (not including) 1, or null"
        if score is not None and not -1 <= score < 1:
            yield f"min_clip_score: {score}, expected a cosine, -1 up to 1, or null"


@dataclass(frozen=True)
class Synthesize:
    """How synthetic sets are sampled; what a set's name says comes before it."""

    scheme: Scheme
    negative_prompt: str
    count: int | Literal["as_train", "balance"]
    steps: int
    scheduler: str | None
    width: int
    height: int
    compute_batch: int
    decode_batch: int
    format: Literal["png", "jpeg", "as_train"]
    quality: int
    shard_above: int
    max_candidates: float
    filters: Filters
    threads: int

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        names = ("steps", "width", "height", "compute_batch", "decode_batch", "threads")
        for name in names:
            if getattr(self, name) < 1:
                yield f"{name}: {getattr(self, name)}, expected at least 1"
        if isinstance(self.count, int) and self.count < 1:
            yield f"count: {self.count}, expected at least 1, `as_train` or `balance`"
        if not 1 <= self.quality <= 100:
            yield f"quality: {self.quality}, expected 1 to 100 (of JPEG)"
        if self.shard_above < 0:
            yield f"shard_above: {self.shard_above}, expected at least 0 images"
        if self.max_candidates < 1:
            yield f"max_candidates: {self.max_candidates}, expected at least 1 (times the count)"


@dataclass(frozen=True)
class NetworkPin:
    """A network made elsewhere: timm's name, and its weights (`hub` or a .safetensors file)."""

    model: str
    weights: str


@dataclass(frozen=True)
class Judge:
    """A classifier of real images that labels, filters and judges synthetic ones."""

    kind: Literal["train", "pin"]
    pin: NetworkPin | None
    learns_from: Literal["corpus", "train"]
    seed: int

    def problems(self) -> Iterator[str]:
        """Name every contradiction."""
        if (self.kind == "pin") != (self.pin is not None):
            state = "null" if self.pin is None else "set"
            yield f"kind: {self.kind}, but `pin` is {state}; expected both or neither"


@dataclass(frozen=True)
class Fidelity:
    """How close synthetic images are to real ones, in the features of one network.

    `feature_network` null: the judge's, an in-domain network.
    """

    feature_network: NetworkPin | None
    neighbours: int
    max_images: int
    kid_subset: int

    def problems(self) -> Iterator[str]:
        """Name every value out of range."""
        for name in ("neighbours", "max_images", "kid_subset"):
            if getattr(self, name) < 1:
                yield f"{name}: {getattr(self, name)}, expected at least 1"

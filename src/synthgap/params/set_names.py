"""Names of synthetic sets: they say everything in which sets of one recipe may differ."""

from __future__ import annotations

import re
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

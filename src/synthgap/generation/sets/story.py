"""How an image was made, as its file tells it: enough to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synthgap.generation.samplers.requests import Request

SCHEMA = 1
MACHINE = ("processor", "device", "threads")  # these stand in the manifest alone


@dataclass(frozen=True)
class Story:
    """What all images of a set, and of the longer and shorter ones, share."""

    shared: Mapping[str, Any]

    def __call__(self, request: Request, label: int, class_name: str) -> dict[str, Any]:
        """The story of one image, which was taken for class `label`."""
        return {
            **self.shared,
            "schema": SCHEMA,
            "k": request.number,
            "seed": request.seed,
            "prompt": request.prompt,
            "label": label,
            "class_name": class_name,
            "labelled_by": "request" if request.label is not None else "judge",
        }


def versions_of(environment: Mapping[str, str | int]) -> dict[str, str | int]:
    """The libraries' part of an environment."""
    return {name: value for name, value in environment.items() if name not in MACHINE}

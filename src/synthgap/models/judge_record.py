"""What is known of a judge before it is opened: its digest, classes, and what it learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from synthgap.errors import CheckpointError
from synthgap.jobs import content_digest, read_json

STEM = "judge"
DIGEST_KEYS = ("network", "eye", "classes", "weights_sha256")


@dataclass(frozen=True)
class JudgeRecord:
    """A judge's description; equal digests mean that it says the same of every image."""

    digest: str
    classes: tuple[str, ...]
    real_labels: int | None  # it has learned from; None where nobody knows

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what stage `judge` wrote.

        Raises:
            CheckpointError: it is not there.
        """
        path = folder / f"{STEM}.json"
        if not path.is_file():
            raise CheckpointError(f"{path}: missing, expected a judge; run `dvc repro judge` first")
        return cls.of(read_json(path))

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Self:
        """Take what judge.json says."""
        digest = content_digest({name: about[name] for name in DIGEST_KEYS})
        return cls(digest, tuple(about["classes"]), about["real_labels"])

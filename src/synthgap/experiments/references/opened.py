"""The reference networks that a protocol's methods ask for, opened once for all its runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from synthgap.guidance.reference import ReferenceNetwork
from synthgap.jobs import Artifacts

STAGE = "references"


@dataclass(frozen=True)
class OpenedReferences:
    """Frozen networks by name, and where they lie."""

    folder: Path  # of stage `references`, for the current recipe
    root: Path
    opened: Mapping[str, ReferenceNetwork]

    @classmethod
    def open(cls, artifacts: Artifacts, names: Iterable[str], device: str) -> Self:
        """Open the named ones on a device.

        Raises:
            CheckpointError: one is missing or damaged.
        """
        folder = artifacts.stage(STAGE)
        opened = {
            name: ReferenceNetwork.open(folder / name, device) for name in dict.fromkeys(names)
        }
        return cls(folder, artifacts.root, opened)

    def inputs(self, names: Iterable[str]) -> dict[str, str]:
        """Digests of some of them, by their paths."""
        return {
            (self.folder / name).relative_to(self.root).as_posix(): self.opened[name].digest
            for name in names
        }

    def labels(self, names: Iterable[str]) -> int | None:
        """How many labels are behind some of them at most; None where nobody knows."""
        used = [self.opened[name].about["labels_used"] for name in names]
        return None if None in used else max(used, default=0)

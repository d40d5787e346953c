"""What a generator understands, as its folder says it, before it is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthgap.generation.checkpoints.provenance import INDEX, pipeline_class, sample_files


@dataclass(frozen=True)
class Nature:
    """Whether a generator knows classes, reads prompts, or follows images."""

    knows_classes: bool
    reads_text: bool
    needs_images: bool
    available: tuple[int, ...] | None = None  # samples a class, or in all, where they are files


def nature_of(folder: Path, classes: Sequence[str]) -> Nature:
    """Look at a pipeline's folder, or at one of samples; `classes` are the dataset's."""
    if not (folder / INDEX).is_file():
        return _samples(folder, classes)
    from synthgap.generation.samplers.class_conditional import class_conditional
    from synthgap.generation.samplers.opening import FAMILIES
    from synthgap.generation.samplers.unclip_sampling import prompted_by_images
    from synthgap.generation.samplers.unconditional import unconditional

    family = FAMILIES.get(pipeline_class(folder))
    return Nature(
        knows_classes=family is not unconditional,
        reads_text=family not in (unconditional, class_conditional),
        needs_images=family is prompted_by_images,
    )


def _samples(folder: Path, classes: Sequence[str]) -> Nature:
    parents = Counter(path.parent for path in sample_files(folder))
    in_classes = any(parent != folder for parent in parents)
    counts = [parents[folder / name] for name in classes] if in_classes else [parents[folder]]
    return Nature(in_classes, reads_text=False, needs_images=False, available=tuple(counts))

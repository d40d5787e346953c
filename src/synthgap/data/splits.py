"""Which image goes to which split: by class, seed and content, never by the order of a listing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthgap.errors import DataError
from synthgap.params.sections import Splits, SplitSize
from synthgap.seeding import stream

SPLITS = ("corpus", "train", "val", "test")


@dataclass(frozen=True)
class Pool:
    """The images of one class that splits draw from: sha256 of each file by its source path."""

    class_name: str
    sha256s: Mapping[str, str]


def sizes_of(splits: Splits) -> dict[str, SplitSize]:
    """The asked size of each split, in the order in which they draw."""
    return {name: getattr(splits, name) for name in SPLITS}


def draw(pool: Pool, sizes: Mapping[str, SplitSize], *, seed: int, place: str) -> dict[str, str]:
    """Assign a class's images to the splits: source path -> split; what none asks for is left out.

    The order is a permutation of the files sorted by content, so renaming a file or adding a class
    moves nothing. Files with the same bytes stay together, else a split would leak into another.

    Raises:
        DataError: the class has fewer images than the splits need; names class and counts.
    """
    counts = _counts(pool, sizes, place)
    waiting = _shuffled(pool, seed)
    drawn: dict[str, str] = {}
    for name, count in counts.items():
        left: list[Sequence[str]] = []
        missing = count
        for group in waiting:
            if len(group) <= missing:
                drawn.update(dict.fromkeys(group, name))
                missing -= len(group)
            else:
                left.append(group)
        if missing:
            raise _too_few(pool, counts, place)
        waiting = left
    return drawn


def _shuffled(pool: Pool, seed: int) -> list[Sequence[str]]:
    """Groups of files with equal bytes, permuted by a stream of the class's own."""
    groups: dict[str, list[str]] = {}
    for source in sorted(pool.sha256s):
        groups.setdefault(pool.sha256s[source], []).append(source)
    ordered = [groups[sha] for sha in sorted(groups)]
    order = stream(seed, "ingest", "splits", pool.class_name).permutation(len(ordered))
    return [ordered[index] for index in order]


def _counts(pool: Pool, sizes: Mapping[str, SplitSize], place: str) -> dict[str, int]:
    """Images of this class for each split that draws; `rest` comes last and takes what is left."""
    total = len(pool.sha256s)
    counts: dict[str, int] = {}
    share = 0.0
    for name, size in sizes.items():
        if isinstance(size, float):
            # Rounding the running sum lets shares that sum to 1 use every image.
            counts[name] = round((share + size) * total) - round(share * total)
            share += size
        elif isinstance(size, int):
            counts[name] = size
    for name, size in sizes.items():
        if size == "rest":
            counts[name] = total - sum(counts.values())
    if sum(counts.values()) > total or any(count < 1 for count in counts.values()):
        raise _too_few(pool, counts, place)
    return counts


def _too_few(pool: Pool, counts: Mapping[str, int], place: str) -> DataError:
    needs = ", ".join(f"{name} {max(count, 1)}" for name, count in counts.items())
    return DataError(
        f"{place}: class {pool.class_name!r} has {len(pool.sha256s)} images, but data.splits need "
        f"{needs} of each class; add images or lower data.splits in params.yaml"
    )

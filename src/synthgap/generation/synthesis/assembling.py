"""A whole set out of its parts: as files, or as the parts themselves, and what became of all."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from synthgap.data.image_set import write_manifest
from synthgap.data.packed import shard_name
from synthgap.generation.synthesis.candidates import Candidates
from synthgap.generation.synthesis.journal import JournalEntry, by_reason
from synthgap.generation.synthesis.parts import refusals_named
from synthgap.generation.synthesis.rounds import all_rounds, contents, found, select
from synthgap.generation.synthesis.set_in_progress import CandidateOutcome, SetInProgress
from synthgap.jobs import whole_file

FINISHED = "finished"
DROPPED = "dropped.parquet"


@dataclass(frozen=True)
class ManifestFacts:
    """What the manifest tells beside the images.

    `shared` are columns that every image has alike, `own` the columns of each candidate by its
    number, and `about` is true of the whole set.
    """

    shared: Mapping[str, Any]
    own: Callable[[int], Mapping[str, Any]]
    about: Mapping[str, Any]
    kind: str = "synthetic"


def assemble(making: SetInProgress, facts: ManifestFacts) -> Path:
    """Put exactly the set's images into one folder and describe them; leave all else behind.

    Raises:
        ReopenedError: an image is damaged; it must be made again.
    """
    finished = making.folder / FINISHED
    shutil.rmtree(finished, ignore_errors=True)
    rounds = list(all_rounds(making))
    every = found(making, rounds)
    selection = select(making, every)
    assert selection.counts(len(making.wanted)).tolist() == making.wanted.tolist()
    finished.mkdir()
    places = _place(finished, making, selection.kept)
    columns = {**_described(making, selection.kept, facts), **places}
    _write_dropped(finished, making.candidates, selection.dropped, facts)
    about = {
        **facts.about,
        "candidates": {
            "sampled": len(every),
            "kept": len(selection.kept),
            "dropped": by_reason(one.made for one in selection.dropped),
            "surplus": selection.num_surplus,
            "rounds": len(rounds),
        },
    }
    classes = making.candidates.classes
    write_manifest(finished, kind=facts.kind, classes=classes, columns=columns, about=about)
    return finished


def _described(
    making: SetInProgress, kept: Sequence[CandidateOutcome], facts: ManifestFacts
) -> dict[str, Sequence[Any]]:
    """The manifest's columns but for where shards hold the images."""
    import pyarrow as pa

    candidates, extension = making.candidates, making.encoding.extension
    made = [one.made for one in kept]
    labels = [one.label for one in kept]
    numbers = [one.number for one in made]
    count = len(made)
    width, height = _size_px(kept)
    return {
        "path": [candidates.path(*pair, extension) for pair in zip(numbers, labels, strict=True)],
        "label": labels,
        "class_name": [candidates.classes[label] for label in labels],
        "k": numbers,
        **_own(numbers, facts),
        **{name: pa.repeat(pa.scalar(value), count) for name, value in facts.shared.items()},
        **_measured(made),
        "sha256": [one.sha256 for one in made],
        "width": pa.repeat(pa.scalar(width), count),
        "height": pa.repeat(pa.scalar(height), count),
    }


def _size_px(kept: Sequence[CandidateOutcome]) -> tuple[int, int]:
    """Width and height of the files, which are all alike."""
    for _, content in contents(kept[:1]):
        with Image.open(io.BytesIO(content)) as image:
            return image.size
    return 0, 0


def _own(numbers: Sequence[int], facts: ManifestFacts) -> dict[str, list[Any]]:
    rows = [facts.own(number) for number in numbers]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}


def _measured(made: Sequence[JournalEntry]) -> dict[str, list[float | None]]:
    """A column for everything that a filter measured."""
    names = sorted({name for one in made for name in one.facts})
    return {name: [one.facts.get(name) for one in made] for name in names}


def _place(
    finished: Path, making: SetInProgress, kept: Sequence[CandidateOutcome]
) -> dict[str, Sequence[Any]]:
    """Put the images there; columns that say where they lie in shards, if they do.

    Shards are the parts themselves, under another name and not copied: they also hold what passed
    beyond need, and what was dropped as a near-copy; the manifest does not list that.
    """
    parts: dict[Path, list[CandidateOutcome]] = {}
    for one in kept:
        parts.setdefault(one.part.stem, []).append(one)
    names = {stem: shard_name(number) for number, stem in enumerate(sorted(parts))}
    extension = making.encoding.extension
    for stem, several in sorted(parts.items()):
        for one, content in contents(several):
            if not making.packed:
                path = making.candidates.path(one.made.number, one.label, extension)
                _write(finished / path, content)
        if making.packed:
            _link(finished / names[stem], several[0].part.tar)
    if not making.packed:
        return {}
    return {
        "shard": [names[one.part.stem] for one in kept],
        "offset": [one.made.offset for one in kept],
        "size": [one.made.size for one in kept],
    }


def _write(path: Path, content: bytes) -> None:
    with refusals_named(path):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def _link(path: Path, tar: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.hardlink_to(tar)


def _write_dropped(
    finished: Path,
    candidates: Candidates,
    dropped: Sequence[CandidateOutcome],
    facts: ManifestFacts,
) -> None:
    """A table of what was dropped and why, by k."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = sorted(one.made for one in dropped)
    numbers = [one.number for one in made]
    labels = [one.label for one in made]
    names = [None if label is None else candidates.classes[label] for label in labels]
    columns = {
        "k": pa.array(numbers, pa.int64()),
        "label": pa.array(labels, pa.int64()),
        "class_name": pa.array(names, pa.string()),
        "reason": pa.array([one.dropped for one in made], pa.string()),
        **_own(numbers, facts),
        **_measured(made),
    }
    path = finished / DROPPED
    with refusals_named(path), whole_file(path) as partial:
        pq.write_table(pa.table(columns), partial)

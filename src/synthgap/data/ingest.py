"""From a folder of images to four frozen image sets: corpus, train, val and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from synthgap.data.checking import Decoded, each, refuse_duplicates
from synthgap.data.folder import RawFolder, RawImage, folded
from synthgap.data.image_set import square, write_manifest, write_png
from synthgap.data.splits import SPLITS, Pool, draw, sizes_of
from synthgap.data.versioning import missing, pins, require_pinned
from synthgap.errors import DataError
from synthgap.jobs import Artifacts, Work, discard, hold, publish
from synthgap.params.sections import Data, SplitSize


@dataclass(frozen=True)
class IngestParams:
    """What ingest reads of params.yaml."""

    seed: int
    data: Data


@dataclass(frozen=True)
class StagedImage:
    """One image as it lies in the work folder, waiting for its split."""

    raw: RawImage
    name: str  # path inside its image set, POSIX
    sha256: str
    source_sha256: str
    source_mode: str
    width: int  # of the source, pixels
    height: int


def ingest(params: IngestParams, artifacts: Artifacts) -> None:
    """Check data/<name>, split it and write the four image sets whole or not at all.

    A split that is `none` becomes an empty set. With `encoding: png`, images are stored as RGB
    squares of `image_size` in uncompressed PNG; with `original`, as the file's own bytes.

    Raises:
        DataError: the images are not what data.dvc says, cannot be read, or cannot be split so.
    """
    data = params.data
    root = artifacts.raw(data.name)
    if not root.is_dir():
        raise missing(artifacts.root, data.name)
    folder = RawFolder.read(root)
    sizes = sizes_of(data.splits)
    _check_official(folder, sizes)
    require_pinned(artifacts.root, data.name, folder)
    identity = {"stage": "ingest", **asdict(params), "pin": pins(artifacts.root)[data.name]}
    train = artifacts.image_set("train")
    with hold(artifacts.work, identity, train, stage="ingest") as work:
        discard(work)  # a killed ingest starts afresh: checking every image is most of its work
        try:
            stored = _store(folder, data, work)
            refuse_duplicates({one.raw: one.source_sha256 for one in stored}, data.name)
            assigned = _assign(stored, sizes, folder=folder, seed=params.seed)
            _publish(stored, assigned, folder.classes, work=work, artifacts=artifacts)
        finally:
            discard(work)
    _print_summary(data.name, folder, assigned)


def _check_official(folder: RawFolder, sizes: Mapping[str, SplitSize]) -> None:
    """A test folder stays whole, so it must be the test split; `official` needs its folder."""
    for name in ("val", "test"):
        if sizes[name] == "official" and name not in folder.splits:
            raise DataError(
                f"{folder.root / name}: missing, but data.splits.{name} is official; expected that "
                f"folder, or a number or share for data.splits.{name} in params.yaml"
            )
    if "test" in folder.splits and sizes["test"] != "official":
        raise DataError(
            f"{folder.root / 'test'}: data.splits.test is {sizes['test']}, but an official test "
            "set stays whole; expected data.splits.test: official in params.yaml"
        )


def _store(folder: RawFolder, data: Data, work: Work) -> list[StagedImage]:
    """Check every image and store it once, before it is known which split it goes to."""
    names = _names(folder.images, original=data.encoding == "original")
    for class_name in folder.classes:
        (work.folder / "all" / class_name).mkdir(parents=True)

    def store(image: Decoded) -> StagedImage:
        name = names[image.raw]
        path = work.folder / "all" / name
        if data.encoding == "original":
            path.write_bytes(image.content)
            stored = image.sha256
        else:
            pixels = np.asarray(square(image.picture.convert("RGB"), data.image_size))
            stored = write_png(path, pixels)
        width, height = image.picture.size
        return StagedImage(image.raw, name, stored, image.sha256, image.picture.mode, width, height)

    return list(each(folder.images, store, doing=f"ingest {data.name}"))


def _names(images: Sequence[RawImage], *, original: bool) -> dict[RawImage, str]:
    """A name for each stored file; where two would collide, both carry a hash of their source."""
    plain = {
        raw: f"{raw.class_name}/{raw.path.name if original else raw.path.stem + '.png'}"
        for raw in images
    }
    taken: dict[str, int] = {}
    for name in plain.values():
        taken[folded(name)] = taken.get(folded(name), 0) + 1
    return {
        raw: name if taken[folded(name)] == 1 else _marked(name, raw.source)
        for raw, name in plain.items()
    }


def _marked(name: str, source: str) -> str:
    path = PurePosixPath(name)
    return str(
        path.with_name(f"{path.stem}-{sha256(source.encode()).hexdigest()[:16]}{path.suffix}")
    )


def _assign(
    stored: Sequence[StagedImage], sizes: Mapping[str, SplitSize], *, folder: RawFolder, seed: int
) -> dict[RawImage, str]:
    """The split of every image that has one.

    Official folders go whole to their split; all the others (a val folder too, unless it is
    official) form the pool that the other splits draw from.
    """
    official = {name for name in folder.splits if sizes.get(name) == "official"}
    drawing = {name: size for name, size in sizes.items() if size not in ("official", "none")}
    assigned = {one.raw: one.raw.split for one in stored if one.raw.split in official}
    pooled: dict[str, dict[str, RawImage]] = {name: {} for name in folder.classes}
    sha256s: dict[str, dict[str, str]] = {name: {} for name in folder.classes}
    for one in stored:
        if one.raw not in assigned:
            pooled[one.raw.class_name][one.raw.source] = one.raw
            sha256s[one.raw.class_name][one.raw.source] = one.source_sha256
    for class_name in folder.classes:
        pool = Pool(class_name, sha256s[class_name])
        drawn = draw(pool, drawing, seed=seed, place=str(folder.root))
        assigned |= {pooled[class_name][source]: split for source, split in drawn.items()}
    return assigned


def _publish(
    stored: Sequence[StagedImage],
    assigned: Mapping[RawImage, str],
    classes: Sequence[str],
    *,
    work: Work,
    artifacts: Artifacts,
) -> None:
    """Complete all four sets in the work folder, then rename each into its output."""
    for split in SPLITS:
        chosen = [one for one in stored if assigned.get(one.raw) == split]
        _write(work.folder, split, classes, chosen)
    for split in SPLITS:
        publish(work.folder / split, artifacts.image_set(split))


def _write(work: Path, split: str, classes: Sequence[str], chosen: Sequence[StagedImage]) -> None:
    """Move a split's images into its folder and write the manifest, last."""
    rows = sorted(chosen, key=lambda one: one.name)
    for class_name in sorted({one.raw.class_name for one in rows}):
        (work / split / class_name).mkdir(parents=True)
    for one in rows:
        (work / "all" / one.name).rename(work / split / one.name)
    write_manifest(work / split, kind="real", classes=classes, columns=_columns(classes, rows))


def _columns(classes: Sequence[str], rows: Sequence[StagedImage]) -> dict[str, Any]:
    """The manifest's columns, typed even when there are no rows."""
    import pyarrow as pa

    index = {name: label for label, name in enumerate(classes)}
    return {
        "path": pa.array([one.name for one in rows], pa.string()),
        "label": pa.array([index[one.raw.class_name] for one in rows], pa.int64()),
        "class_name": pa.array([one.raw.class_name for one in rows], pa.string()),
        "sha256": pa.array([one.sha256 for one in rows], pa.string()),
        "source_path": pa.array([one.raw.source for one in rows], pa.string()),
        "source_sha256": pa.array([one.source_sha256 for one in rows], pa.string()),
        "source_mode": pa.array([one.source_mode for one in rows], pa.string()),
        "width": pa.array([one.width for one in rows], pa.int64()),
        "height": pa.array([one.height for one in rows], pa.int64()),
    }


def _print_summary(name: str, folder: RawFolder, assigned: Mapping[RawImage, str]) -> None:
    counts = Counter((split, raw.class_name) for raw, split in assigned.items())
    for split in SPLITS:
        a_class = [counts[split, class_name] for class_name in folder.classes]
        spread = f", {min(a_class)} to {max(a_class)} a class" if sum(a_class) else " (none)"
        print(f"{name} {split}: {sum(a_class)} images{spread}")  # noqa: T201 - the stage's summary
    unused = len(folder.images) - len(assigned)
    if unused:
        print(f"{name}: {unused} images are in no split (data.splits)")  # noqa: T201 - see above

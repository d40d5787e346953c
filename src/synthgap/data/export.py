"""A set in another storage: as an ImageFolder for other tools, or packed into shards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from synthgap.data.image_set import MANIFEST, ImageSet, write_manifest
from synthgap.data.packed import COLUMNS, append, finish, shard_name
from synthgap.errors import DataError
from synthgap.jobs import Artifacts
from synthgap.params import read_params


def find_set(root: Path, name: str) -> ImageSet:
    """Open a set of the recipe in use by its name, or any set by its folder.

    Raises:
        SynthgapError: there is no such set, or params.yaml names no recipe.
    """
    folder = root / name
    if not (folder / MANIFEST).is_file():
        folder = Artifacts(root, read_params(root / "params.yaml").recipe).image_set(name)
    return ImageSet.read(folder)


def export(images: ImageSet, target: Path) -> None:
    """Write the set into the folder `target` as `<class>/<file>`, whole or not at all.

    Files are copies, checked against the manifest. A class without images has an empty folder, so
    that whoever numbers the folders finds the set's labels.

    Raises:
        DataError: `target` holds something, or an image is missing or not the manifest's.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{target}: not empty, expected a new folder; give another one to --to")
    with _whole_folder(target) as partial:
        for class_name in images.classes:
            (partial / class_name).mkdir()
        for index in range(len(images)):
            path = partial / _checked_path(images, index)
            try:
                with path.open("xb") as file:
                    file.write(images.content(index))
            except FileExistsError as error:
                raise DataError(
                    f"{images.root / MANIFEST}: lists {images.paths[index]} twice; rerun the stage "
                    "that makes the set"
                ) from error


def pack(images: ImageSet, root: Path, *, images_a_shard: int) -> ImageSet:
    """Write the same set into a new folder `root` as shards, whole or not at all.

    Raises:
        DataError: an image is missing or not the manifest's.
    """
    with _whole_folder(root) as partial:
        ranges: list[tuple[str, int, int]] = []
        for start in range(0, len(images), images_a_shard):
            shard = shard_name(start // images_a_shard)
            (partial / shard).parent.mkdir(exist_ok=True)
            with (partial / shard).open("wb") as file:
                for index in range(start, min(start + images_a_shard, len(images))):
                    place = append(file, images.paths[index], images.content(index))
                    ranges.append((shard, *place))
                finish(file)
        _write_packed(images, partial, ranges)
    return ImageSet.read(root)


def _write_packed(images: ImageSet, root: Path, ranges: list[tuple[str, int, int]]) -> None:
    """The set's own manifest, and where its images lie now; typed even without images."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(images.root / MANIFEST)
    columns = {name: table.column(name) for name in table.column_names}
    for position, (name, kind) in enumerate(
        zip(COLUMNS, (pa.string(), pa.int64(), pa.int64()), strict=True)
    ):
        columns[name] = pa.array([place[position] for place in ranges], kind)
    write_manifest(
        root, kind=images.kind, classes=images.classes, columns=columns, about=images.about
    )


def _checked_path(images: ImageSet, index: int) -> Path:
    """An image's `<class>/<file>`.

    Raises:
        DataError: the manifest says anything else.
    """
    path = PurePosixPath(images.paths[index])
    wanted = images.classes[images.labels[index]]
    if len(path.parts) != 2 or path.parts[0] != wanted or path.name == "..":
        raise DataError(
            f"{images.root / MANIFEST}: lists {path}, expected a file directly in {wanted}/; rerun "
            "the stage that makes the set"
        )
    return Path(path)


@contextmanager
def _whole_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `target`; it becomes `target` only if the block succeeds."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.mkdir()
        yield partial
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)

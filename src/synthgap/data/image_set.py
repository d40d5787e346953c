"""An image set: images as an ImageFolder or in shards, and `manifest.parquet`, one row an image."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synthgap.data.packed import COLUMNS, Ranges, StoredImages, ranges_of
from synthgap.errors import DataError
from synthgap.jobs import whole_file

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MANIFEST = "manifest.parquet"
REQUIRED = ("path", "label", "sha256")


@dataclass(frozen=True)
class ImageSet:
    """One set, read from its manifest; pixels are read when asked for.

    `paths` are relative to `root`, `labels` index `classes`, and `digest` covers classes, paths,
    labels and the sha256 of every file, so equal digests mean equal images in equal order, whether
    they lie there as files or, with `ranges`, in shards.
    """

    root: Path
    kind: str  # "real" or "synthetic"
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray  # (num_images,) int64
    sha256s: tuple[str, ...]
    about: Mapping[str, Any]  # what else its maker wrote, e.g. `generator_real_labels`
    ranges: Ranges | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    @classmethod
    def read(cls, root: Path) -> ImageSet:
        """Open the set at `root`.

        Raises:
            DataError: there is no manifest, it is damaged, or it lacks a column.
        """
        table = _columns_read(root / MANIFEST)
        about = json.loads((table.schema.metadata or {}).get(b"synthgap", b"{}"))
        return cls(
            root=root,
            kind=about["kind"],
            classes=tuple(about["classes"]),
            paths=tuple(table.column("path").to_pylist()),
            labels=np.asarray(table.column("label").to_pylist(), dtype=np.int64),
            sha256s=tuple(table.column("sha256").to_pylist()),
            about=about,
            ranges=ranges_of(table),
        )

    @cached_property
    def digest(self) -> str:
        """Hex sha256 over classes and (path, label, sha256) of every image."""
        lines = [json.dumps(list(self.classes))]
        lines += [
            f"{path}\0{label}\0{sha}"
            for path, label, sha in zip(self.paths, self.labels.tolist(), self.sha256s, strict=True)
        ]
        return sha256("\n".join(lines).encode()).hexdigest()

    def as_input(self, checkout: Path) -> dict[str, str]:
        """Its path inside the checkout, with its digest, as records name what they read."""
        return {self.root.relative_to(checkout).as_posix(): self.digest}

    def rows(self) -> pd.DataFrame:
        """Every column of the manifest, one row an image."""
        import pandas as pd

        return pd.read_parquet(self.root / MANIFEST)

    def pixels(self, size_px: int, *, store: Path | None = None) -> np.ndarray:
        """All images as uint8 RGB squares, (num_images, size_px, size_px, 3).

        With `store`, they are decoded once into a memory-mapped file there, keyed by digest and
        size.

        Raises:
            DataError: an image cannot be read, or is not the one the manifest describes.
        """
        shape = (len(self), size_px, size_px, 3)
        if store is None or not self.paths:
            loose = np.empty(shape, dtype=np.uint8)
            for index in range(len(self)):
                loose[index] = self._square(index, size_px)
            return loose
        path = store / f"{self.digest}-{size_px}.npy"
        if not path.is_file():
            # Written as a plain file: a full disk is an error there, but a crash in a memory map.
            with whole_file(path) as partial, partial.open("wb") as file:
                header = np.lib.format.header_data_from_array_1_0(np.empty(0, dtype=np.uint8))
                np.lib.format.write_array_header_1_0(file, {**header, "shape": shape})
                for index in range(len(self)):
                    file.write(self._square(index, size_px).tobytes())
        pixels: np.ndarray = np.load(path, mmap_mode="c")
        return pixels

    def content(self, index: int) -> bytes:
        """The bytes of one image's file, checked against the manifest.

        Raises:
            DataError: they are missing, or not those the manifest describes.
        """
        content = self._stored.read(index)
        if sha256(content).hexdigest() != self.sha256s[index]:
            raise DataError(
                f"{self._stored.place(index)}: bytes differ from the manifest's sha256; rerun the "
                "stage that makes it"
            )
        return content

    def image(self, index: int) -> Image.Image:
        """Decode one image as RGB, checking its bytes against the manifest.

        Raises:
            DataError: it is missing, unreadable, or not the one the manifest describes.
        """
        content = self.content(index)
        try:
            return Image.open(io.BytesIO(content)).convert("RGB")
        except OSError as error:
            raise DataError(
                f"{self._stored.place(index)}: unreadable image ({error}); replace it and rerun"
            ) from error

    @cached_property
    def _stored(self) -> StoredImages:
        return StoredImages(self.root, self.paths, self.ranges)

    def _square(self, index: int, size_px: int) -> np.ndarray:
        return np.asarray(square(self.image(index), size_px))


def square(image: Image.Image, size_px: int) -> Image.Image:
    """Resize the shorter side to `size_px` (bicubic), crop the centre; an exact fit is kept."""
    if image.size == (size_px, size_px):
        return image
    scale = size_px / min(image.size)
    width, height = (max(size_px, round(side * scale)) for side in image.size)
    left, top = (width - size_px) // 2, (height - size_px) // 2
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return resized.crop((left, top, left + size_px, top + size_px))


def _columns_read(path: Path) -> pa.Table:
    """What `ImageSet` needs of a manifest: a set of millions has prompts and more beside it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError(f"{path}: missing, expected an image set; rerun the stage that makes it")
    try:
        columns = pq.read_schema(path).names
        missing = [name for name in REQUIRED if name not in columns]
        if missing:
            raise DataError(f"{path}: lacks the columns {missing}; rerun the stage that makes it")
        wanted = [name for name in (*REQUIRED, *COLUMNS) if name in columns]
        return pq.read_table(path, columns=wanted)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: damaged ({reason:.120}), expected a Parquet manifest; rerun the stage that "
            "makes the set"
        ) from error


def write_manifest(
    root: Path,
    *,
    kind: str,
    classes: Sequence[str],
    columns: Mapping[str, Sequence[Any]],
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write `manifest.parquet` last, so that its presence means that the set is complete.

    `columns` holds at least `path`, `label` and `sha256`, all of one length, and where the images
    are packed `shard`, `offset` and `size`; `about` is whatever else is true of the whole set and
    can be written as JSON.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = json.dumps({**(about or {}), "kind": kind, "classes": list(classes)})
    table = pa.table(dict(columns)).replace_schema_metadata({"synthgap": text})
    with whole_file(root / MANIFEST) as partial:
        pq.write_table(table, partial)


def write_png(path: Path, pixels: np.ndarray) -> str:
    """Write uint8 (height, width, 3) or (height, width) as an uncompressed PNG; return its sha256.

    Uncompressed, because zlib and zlib-ng give different bytes for the same pixels.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=0)
    with whole_file(path) as partial:
        partial.write_bytes(buffer.getvalue())
    return sha256(buffer.getvalue()).hexdigest()

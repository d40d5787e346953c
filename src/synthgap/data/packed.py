"""Images inside plain tar files, `shards/00000.tar` and on, each found by its byte range.

A member is a regular file `<class>/<file>`, so that unpacking a shard gives an ImageFolder. Headers
hold nothing of the machine or the moment: equal images in equal order give equal shards.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import numpy as np

from synthgap.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


SHARDS = "shards"
COLUMNS = ("shard", "offset", "size")
BLOCK = tarfile.BLOCKSIZE
MODE = 0o644
RERUN = "rerun the stage that makes the set, or `dvc checkout` it"


def shard_name(number: int) -> str:
    """Path of a shard inside its set, as the manifest's column `shard` holds it."""
    return f"{SHARDS}/{number:05d}.tar"


def append(file: IO[bytes], name: str, content: bytes) -> tuple[int, int]:
    """Write one image where `file` stands, in one write: (offset, size) of its own bytes.

    The file stands at 0 or where an earlier image ended (`end_of`); `finish` closes a shard.
    """
    start = file.tell()
    assert start % BLOCK == 0, f"{name}: byte {start} is inside another member"
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), MODE
    header = member.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
    file.write(b"".join((header, content, bytes(-len(content) % BLOCK))))
    return start + len(header), len(content)


def end_of(offset: int, size: int) -> int:
    """Where the next image of a shard begins: a longer, unfinished shard is truncated there."""
    return offset + size + -size % BLOCK


def finish(file: IO[bytes]) -> None:
    """Write the end of the archive where `file` stands, after its last image."""
    file.write(bytes(2 * BLOCK))


@dataclass(frozen=True)
class Ranges:
    """Where the images of a packed set lie: `shards[codes[i]]`, `sizes[i]` bytes from an offset."""

    shards: tuple[str, ...]
    codes: np.ndarray  # (num_images,) int32
    offsets: np.ndarray  # (num_images,) int64
    sizes: np.ndarray  # (num_images,) int64

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """Take the columns `shard`, `offset` and `size` of a manifest."""
        column = table.column("shard").combine_chunks().dictionary_encode()
        return cls(
            shards=tuple(column.dictionary.to_pylist()),
            codes=column.indices.to_numpy(zero_copy_only=False).astype(np.int32),
            offsets=table.column("offset").to_numpy().astype(np.int64),
            sizes=table.column("size").to_numpy().astype(np.int64),
        )

    def shard(self, index: int) -> str:
        """Path, inside the set, of the shard that holds an image."""
        return self.shards[int(self.codes[index])]

    def read(self, root: Path, index: int, name: str) -> bytes:
        """The bytes of one image, which the manifest calls `name`.

        Raises:
            DataError: its shard is missing or ends too early.
        """
        path = root / self.shard(index)
        offset, size = int(self.offsets[index]), int(self.sizes[index])
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(offset)
                content = _exactly(file, size)
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}, expected {name} in it; {RERUN}") from error
        if len(content) != size:
            raise DataError(
                f"{path}: truncated, ends at byte {offset + len(content)} inside {name}, expected "
                f"at least {offset + size} bytes; {RERUN}"
            )
        return content


def _exactly(file: IO[bytes], size: int) -> bytes:
    """Read until `size` bytes or the end: one unbuffered read may give less."""
    content = file.read(size)
    while len(content) < size and (more := file.read(size - len(content))):
        content += more
    return content


@dataclass(frozen=True)
class StoredImages:
    """The bytes of a set's images as they lie there, unchecked; `ranges` where they are packed."""

    root: Path
    paths: Sequence[str]
    ranges: Ranges | None

    @classmethod
    def of(cls, root: Path, table: pa.Table) -> Self:
        """Take the columns `path` and, in a packed set, `shard`, `offset` and `size`."""
        return cls(root, table.column("path").to_pylist(), ranges_of(table))

    def read(self, index: int) -> bytes:
        """The bytes of one image's file.

        Raises:
            DataError: the file or the shard is missing, or the shard ends too early.
        """
        if self.ranges is not None:
            return self.ranges.read(self.root, index, self.paths[index])
        path = self.root / self.paths[index]
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(
                f"{path}: {error.strerror}; rerun the stage that makes the set"
            ) from error

    def place(self, index: int) -> str:
        """Where one image lies, as messages say it."""
        if self.ranges is None:
            return str(self.root / self.paths[index])
        return f"{self.root / self.ranges.shard(index)}, {self.paths[index]}"


def ranges_of(table: pa.Table) -> Ranges | None:
    """Byte ranges of a packed set's images; None where the manifest names no shards."""
    packed = set(COLUMNS) <= set(table.column_names)
    return Ranges.of(table) if packed else None

"""Where the images of a set lie: each a file of its own, or a byte range of a shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from synthgap.data.packed import COLUMNS, Ranges
from synthgap.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Stored:
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

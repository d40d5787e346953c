"""Unpack a .zip of images; nothing in it can reach outside the folder it is unpacked into."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from synthgap.data.folder import is_ignored
from synthgap.errors import DataError

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of `archive` below `folder`, without what is no part of an image set.

    Raises:
        DataError: it is no zip, damaged or encrypted, larger than the disk's free space, or a
            member is a link, appears twice, or names a path that leaves the folder.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [member for member in packed.infolist() if _is_wanted(archive, member)]
            _require_space(archive, folder, sum(member.file_size for member in members))
            for member in members:
                _write(packed, member, folder / member.filename, archive)
    except DAMAGED as error:
        raise DataError(
            f"{archive}: damaged or no zip archive ({error}); expected a whole one: copy it again"
        ) from error


def _is_wanted(archive: Path, member: zipfile.ZipInfo) -> bool:
    """Whether a member is a file of the set; what should not be there at all is an error."""
    path = PurePosixPath(member.filename)
    leaves = path.is_absolute() or ".." in path.parts or "\\" in member.filename
    if leaves or (path.parts and ":" in path.parts[0]):
        raise DataError(
            f"{archive}: member {member.filename!r} leaves the folder; expected relative paths "
            "inside it: do not trust this archive"
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise DataError(
            f"{archive}: member {member.filename!r} is a link; expected images: pack those"
        )
    if member.flag_bits & 1:
        raise DataError(f"{archive}: member {member.filename!r} is encrypted; unpack it yourself")
    return not member.is_dir() and not any(is_ignored(part) for part in path.parts)


def _require_space(archive: Path, folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{archive}: {needed:,} bytes unpacked, but {free:,} are free at {folder}; free some"
        )


def _write(packed: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, archive: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with packed.open(member) as source, path.open("xb") as target:
            shutil.copyfileobj(source, target)
    except FileExistsError as error:
        raise DataError(
            f"{archive}: member {member.filename!r} appears twice; expected each once"
        ) from error

"""A folder of images as the user has it: class folders, or split folders that hold class folders.

Hidden files (a leading dot) and what systems leave behind (`Thumbs.db`, `desktop.ini`, `__MACOSX`)
are no part of a set: they are neither read, nor hashed, nor copied. Anything else must be an image.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from synthgap.errors import DataError

SPLIT_FOLDERS = {"train": "train", "val": "val", "validation": "val", "test": "test"}
LEFT_BY_SYSTEMS = {"thumbs.db", "desktop.ini", "__macosx"}
# With `cache.type symlink`, DVC itself links every file to an object of its cache.
DVC_OBJECT = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$")


@dataclass(frozen=True)
class RawImage:
    """One file of a folder: `split` is "" where the folder has no split folders."""

    path: Path
    source: str  # relative to the folder, POSIX
    split: str
    class_name: str


@dataclass(frozen=True)
class RawFolder:
    """What a folder holds, in the order of the names, whatever order the file system lists."""

    root: Path
    classes: tuple[str, ...]
    splits: tuple[str, ...]  # split folders that exist; empty without them
    images: tuple[RawImage, ...]

    @classmethod
    def read(cls, root: Path) -> RawFolder:
        """List the folder and check its shape; no image is opened.

        Raises:
            DataError: it is missing or empty, a class has no images, two classes' names collide by
                case, the split folders' classes differ, a file lies outside the class folders, or a
                link leads elsewhere.
        """
        if not root.is_dir():
            raise DataError(f"{root}: missing, expected a folder of images; check the path")
        folders = _subfolders(root)
        if not folders:
            raise DataError(f"{root}: empty, expected a folder a class; put the images there")
        if "train" not in folders or not SPLIT_FOLDERS.keys() >= folders.keys():
            images = [image for path in folders.values() for image in _class(root, path, "")]
            return cls(root, _distinct(root, folders), (), tuple(images))
        return cls._with_splits(root, folders)

    @classmethod
    def _with_splits(cls, root: Path, folders: dict[str, Path]) -> RawFolder:
        if "val" in folders and "validation" in folders:
            raise DataError(f"{root}: holds both val and validation; expected one: rename or merge")
        classes = _distinct(folders["train"], _subfolders(folders["train"]))
        if not classes:
            raise DataError(f"{folders['train']}: empty, expected a folder a class")
        images: list[RawImage] = []
        for name, folder in folders.items():
            inside = _subfolders(folder)
            _same_classes(folders["train"], folder, set(classes), set(inside))
            for path in inside.values():
                images += _class(root, path, SPLIT_FOLDERS[name])
        splits = tuple(sorted(SPLIT_FOLDERS[name] for name in folders))
        return cls(root, classes, splits, tuple(images))


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is no part of a set."""
    return name.startswith(".") or name.casefold() in LEFT_BY_SYSTEMS


def folded(name: str) -> str:
    """A name as file systems that ignore case and Unicode composition see it."""
    return unicodedata.normalize("NFC", name).casefold()


def listing(folder: Path, root: Path) -> list[Path]:
    """What lies in `folder`, sorted by name, without what is no part of a set.

    Raises:
        DataError: something there is a link that leads out of `root`, or a broken one.
    """
    paths = sorted(path for path in folder.iterdir() if not is_ignored(path.name))
    for path in paths:
        if path.is_symlink():
            _check_link(path, root)
    return paths


def _check_link(path: Path, root: Path) -> None:
    target = Path(os.path.realpath(path))
    if DVC_OBJECT.search(target.as_posix()):
        return
    if not target.is_relative_to(os.path.realpath(root)):
        raise DataError(
            f"{path}: links to {target}, outside {root}; put the image itself there and rerun"
        )
    if not target.exists():
        raise DataError(f"{path}: broken link to {target}; put the image itself there and rerun")


def _subfolders(folder: Path, root: Path | None = None) -> dict[str, Path]:
    """Folders by name; a plain file among them is an error."""
    paths = listing(folder, root or folder)
    for path in paths:
        if not path.is_dir():
            raise DataError(
                f"{path}: a file beside the class folders; expected folders only: move it away"
            )
    return {path.name: path for path in paths}


def _class(root: Path, folder: Path, split: str) -> list[RawImage]:
    paths = listing(folder, root)
    if not paths:
        raise DataError(f"{folder}: no images, expected at least one; fill or remove the folder")
    for path in paths:
        if not path.is_file():
            raise DataError(
                f"{path}: a folder inside class {folder.name!r}; expected images only "
                "(class folders, or train/, val/, test/ that hold class folders)"
            )
    return [RawImage(path, path.relative_to(root).as_posix(), split, folder.name) for path in paths]


def _distinct(folder: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Sorted names, no two of which a file system that ignores case would merge."""
    originals: dict[str, str] = {}
    for name in sorted(names):
        other = originals.setdefault(folded(name), name)
        if other != name:
            raise DataError(
                f"{folder / name}: its name collides with {other!r} but for the case; "
                "expected distinct classes: merge or rename one"
            )
    return tuple(sorted(names))


def _same_classes(train: Path, folder: Path, wanted: set[str], found: set[str]) -> None:
    for name in sorted(found - wanted):
        raise DataError(f"{folder / name}: not a class of {train}; expected the same classes")
    for name in sorted(wanted - found):
        raise DataError(f"{folder / name}: missing, but {train / name} is there; add its images")

"""Bring an image set into data/: staged aside, checked, then moved in whole and pinned in data.dvc.

The order of the last steps is what makes an interruption harmless: first data.dvc becomes a plain
`dvc add` that states the new pin (an import would delete the new set at the next repro), then the
set is moved in, then DVC learns the new md5. Killed before the second, `ingest` refuses the set;
killed after it, the set is whole; no other set is touched, and running the import again mends both.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synthgap.data import versioning
from synthgap.data.archive import unpack
from synthgap.data.checking import contents, each, refuse_duplicates
from synthgap.data.folder import RawFolder, folded, listing
from synthgap.data.layouts import find_layout
from synthgap.data.published import FETCH, PUBLISHED, download, write_digits
from synthgap.data.versioning import (
    DATA_DVC,
    digest_of,
    is_import,
    missing,
    pins,
    remember,
    require_pinned,
    set_pin,
)
from synthgap.errors import DataError
from synthgap.jobs import Work, discard, hold

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
LOCK_TIMEOUT_S = 5.0

Outcome = Literal["added", "replaced", "unchanged", "kept"]
Confirm = Callable[[str], bool]
"""Asked with one question before anything is replaced."""


@dataclass(frozen=True)
class Imported:
    """How an import ended."""

    name: str
    outcome: Outcome
    num_images: int
    num_classes: int


@dataclass(frozen=True)
class Checked:
    """A folder whose images were all decoded, and the sha256 of each by its source path."""

    folder: RawFolder
    files: Mapping[str, str]


def import_set(root: Path, name: str, source: Path | None, confirm: Confirm) -> Imported:
    """Import set `name` into the checkout at `root`, from `source` (folder or .zip) if given.

    Raises:
        DataError: the name is unknown without a source, an image or a published count is wrong,
            another set in data/ is not what data.dvc says, or DVC or the disk fails. data/ is then
            as it was.
    """
    root = root.absolute()
    _require_name(root, name, source)
    versioning.require_repository(root)
    with _workplace(root) as work:
        _settle_others(root, name, work)
        return _put(root, name, _stage(name, source, work), confirm)


def pin_set(root: Path, name: str) -> Imported:
    """Check data/<name> as it lies there and state it in data.dvc.

    Raises:
        DataError: it is missing or holds bad images, or another set is not what data.dvc says.
    """
    root = root.absolute()
    versioning.require_repository(root)
    if not (root / "data" / name).is_dir():
        raise missing(root, name)
    with _workplace(root) as work:
        _settle_others(root, name, work)
        checked = _checked(root / "data" / name, name)
        return _put(root, name, checked, lambda _: False)


def _require_name(root: Path, name: str, source: Path | None) -> None:
    if not NAME.fullmatch(name):
        raise DataError(
            f"name {name!r}: expected letters, digits, `_`, `-` and `.`; choose another"
        )
    data = root / "data"
    for path in listing(data, data) if data.is_dir() else []:
        if path.name != name and folded(path.name) == folded(name):
            raise DataError(f"{path}: its name is {name!r} but for the case; choose another name")
    if source is None and name != "digits" and name not in FETCH:
        sources = f"digits, {', '.join(FETCH)}"
        raise DataError(
            f"{name}: nothing to download (only {sources}); expected `--from-folder PATH`"
        )


@contextmanager
def _workplace(root: Path) -> Iterator[Work]:
    """A work folder on data/'s file system, held by one import at a time and emptied afterwards."""
    identity = {"import": "data"}
    try:
        with hold(
            root / ".synthgap" / "import",
            identity,
            root / "data",
            stage=None,
            timeout_s=LOCK_TIMEOUT_S,
        ) as work:
            _recover(root, work)
            try:
                yield work
            finally:
                _recover(root, work)
    except OSError as error:
        place_ = error.filename or root
        raise DataError(f"{place_}: {error.strerror or error}; mend that and rerun") from error


def _recover(root: Path, work: Work) -> None:
    """Put back a set that was moved aside and has no successor; throw the rest away."""
    aside = work.folder / "aside"
    for path in sorted(aside.iterdir()) if aside.is_dir() else []:
        if not (root / "data" / path.name).exists():
            path.rename(root / "data" / path.name)
    discard(work)


def _settle_others(root: Path, name: str, work: Work) -> None:
    """Make sure that every other pinned set is there and as pinned: `dvc add` records them all."""
    others = [other for other in pins(root) if other != name]
    if not others or versioning.is_unchanged(root):
        return
    data = root / "data"
    if is_import(root):
        _copy_embedded(root, others, work)
    elif not data.is_dir() or not any(data.iterdir()):
        versioning.checkout(root)
    for other in others:
        if not (data / other).is_dir():
            raise missing(root, other)
        require_pinned(root, other, RawFolder.read(data / other))


def _copy_embedded(root: Path, names: list[str], work: Work) -> None:
    """Do for missing sets what the import in data.dvc would do, without deleting anything."""
    for name in names:
        source, target = root / "embedded" / name, root / "data" / name
        if source.is_dir() and not target.exists():
            for raw in RawFolder.read(source).images:
                _copy(raw.path, work.folder / "embedded" / raw.source)
            target.parent.mkdir(exist_ok=True)
            (work.folder / "embedded").rename(target)


def _stage(name: str, source: Path | None, work: Work) -> Checked:
    """Build the set in the work folder and check it against its published counts."""
    scratch, staged = work.folder / "scratch", work.folder / "staged"
    found = _found(name, source, scratch)
    for one in find_layout(name, found, scratch / "decoded"):
        target = staged / one.target
        if one.origin.is_relative_to(scratch):
            target.parent.mkdir(parents=True, exist_ok=True)
            one.origin.rename(target)
        else:
            _copy(one.origin, target)
    if name in PUBLISHED:
        PUBLISHED[name].check(RawFolder.read(staged), name)
    return _checked(staged, name)


def _copy(origin: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(origin, target)


def _found(name: str, source: Path | None, scratch: Path) -> Path:
    """The folder to read: the one given, or one unpacked, downloaded or made by scikit-learn."""
    if source is not None and source.suffix.casefold() == ".zip" and source.is_file():
        unpack(source, scratch / "unpacked")
        return _inside(scratch / "unpacked")
    if source is not None:
        return source.absolute()
    if name == "digits":
        write_digits(scratch / "digits")
        return scratch / "digits"
    download(name, scratch / "downloaded")
    return scratch / "downloaded"


def _inside(folder: Path) -> Path:
    """What an archive that wraps its folders into one holds."""
    inside = listing(folder, folder)
    only = inside[0] if len(inside) == 1 else folder
    wraps = only.is_dir() and any(path.is_dir() for path in only.iterdir())
    return only if wraps else folder


def _checked(root: Path, name: str) -> Checked:
    """Decode every image and refuse contradicting duplicates."""
    folder = RawFolder.read(root)
    shas = list(each(folder.images, lambda image: image.sha256, doing=f"checking {name}"))
    refuse_duplicates(dict(zip(folder.images, shas, strict=True)), name)
    sources = (raw.source for raw in folder.images)
    return Checked(folder, dict(zip(sources, shas, strict=True)))


def _put(root: Path, name: str, checked: Checked, confirm: Confirm) -> Imported:
    """Move a checked folder to data/<name> (unless it lies there) and state it in data.dvc."""
    folder, files, target = checked.folder, checked.files, root / "data" / name
    digest, there = digest_of(files), folder.root == target or _lies_at(target, files)

    def ended(outcome: Outcome) -> Imported:
        return Imported(name, outcome, len(folder.images), len(folder.classes))

    pinned = pins(root).get(name) == digest
    if there and pinned and versioning.is_unchanged(root):
        return ended("unchanged")
    replaces = target.exists() and not there
    if replaces and not confirm(_question(target, files)):
        return ended("kept")
    keep_import = pinned and is_import(root)  # data.dvc imports the very same set
    if (root / DATA_DVC).is_file() and not keep_import:
        set_pin(root, name, digest)
    if not there:
        _move(folder.root, target, folder.root.parent / "aside" / name)
    if not keep_import:
        versioning.add(root)
    if pins(root).get(name) != digest:  # data.dvc is new
        set_pin(root, name, digest)
    remember(root, files)
    return ended("replaced" if replaces else "added")


def _lies_at(target: Path, files: Mapping[str, str]) -> bool:
    """Whether the folder holds these files and nothing else."""
    try:
        return target.is_dir() and contents(RawFolder.read(target).images) == files
    except DataError:  # what is there is no image set: it differs
        return False


def _question(target: Path, files: Mapping[str, str]) -> str:
    present = sum(path.is_file() for path in target.rglob("*"))
    return f"{target} is there with {present} files; replace them by {len(files)} images?"


def _move(staged: Path, target: Path, aside: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        aside.parent.mkdir(parents=True, exist_ok=True)
        target.rename(aside)
    staged.rename(target)

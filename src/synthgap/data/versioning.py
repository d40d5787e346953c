"""What data.dvc says a set holds: `meta.sets.<name>` is a digest of the set's file names and bytes.

DVC keeps `meta`, but rewrites the md5 of a plain `dvc add` without a question when the files have
changed. The pin is what it does not touch, so that `ingest` can refuse changed images.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from synthgap.data.checking import contents
from synthgap.data.folder import RawFolder
from synthgap.errors import DataError
from synthgap.jobs import read_json, whole_file, write_json

DATA_DVC = "data.dvc"
RESTORE = f"`git checkout {DATA_DVC} && dvc checkout {DATA_DVC}` restores it"


def digest_of(files: Mapping[str, str]) -> str:
    """Hex sha256 over relative names and sha256s: equal digests mean equal files."""
    return sha256(
        "".join(f"{name}\0{files[name]}\n" for name in sorted(files)).encode()
    ).hexdigest()


def pins(root: Path) -> dict[str, str]:
    """The digest that data.dvc states for each set; empty where there is none.

    Raises:
        DataError: data.dvc cannot be read, or its `meta.sets` is no table of digests.
    """
    path = root / DATA_DVC
    if not path.is_file():
        return {}
    sets = (_load(path).get("meta") or {}).get("sets") or {}
    if not isinstance(sets, dict) or not all(isinstance(pin, str) for pin in sets.values()):
        raise DataError(f"{path}: meta.sets is {sets!r}, expected a digest a set; {RESTORE}")
    return {str(name): str(pin) for name, pin in sets.items()}


def is_import(root: Path) -> bool:
    """Whether data.dvc imports `embedded/`: DVC then deletes what else lies in data/."""
    path = root / DATA_DVC
    return path.is_file() and bool(_load(path).get("deps"))


def set_pin(root: Path, name: str, digest: str) -> None:
    """Write the pin of one set into data.dvc and turn an import into a plain `dvc add`, at once.

    The other pins, the md5 and the comments stay; `dvc add` brings the md5 up to date afterwards.
    """
    path = root / DATA_DVC
    document = _load(path)
    for key in ("deps", "md5", "frozen"):  # what makes it an import
        document.pop(key, None)
    meta = document.setdefault("meta", {}) or {}
    sets = meta.setdefault("sets", {}) or {}
    sets[name] = digest
    meta["sets"], document["meta"] = sets, meta
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as stream:
        _yaml().dump(document, stream)


def remember(root: Path, files: Mapping[str, str]) -> None:
    """Keep a listing by its digest, so that a later difference can be named; it can be deleted."""
    path = _listing(root, digest_of(files))
    if not path.is_file():
        write_json(path, dict(files))


def require_pinned(root: Path, name: str, folder: RawFolder) -> None:
    """Stop unless the folder holds exactly what data.dvc says.

    Raises:
        DataError: the set has no pin, or files differ; the line counts them and names one.
    """
    pin = pins(root).get(name)
    files = contents(folder.images)
    if pin is None:
        raise DataError(
            f"{folder.root}: {root / DATA_DVC} does not know this set; expected it in meta.sets: "
            f"check the images, then `synthgap data pin {name}`"
        )
    if digest_of(files) != pin:
        raise DataError(
            f"{folder.root}: {_difference(root, pin, files)} from what {DATA_DVC} says; "
            f"{RESTORE}, `synthgap data pin {name}` accepts it as it is"
        )
    remember(root, files)


def missing(root: Path, name: str) -> DataError:
    """What to say when the folder of a set is not there at all."""
    path = root / "data" / name
    if name in pins(root):
        return DataError(
            f"{path}: missing, but {DATA_DVC} lists it; `dvc checkout {DATA_DVC}` (after `dvc pull "
            f"{DATA_DVC}` where it is not in the cache) or `synthgap data import {name}` brings it"
        )
    return DataError(
        f"{path}: missing, expected an image set; `synthgap data import {name}` "
        "(or with `--from-folder PATH`) brings it"
    )


def _difference(root: Path, pin: str, files: Mapping[str, str]) -> str:
    path = _listing(root, pin)
    if not path.is_file():
        return f"its {len(files)} files differ"
    pinned: dict[str, str] = read_json(path)
    changed = sorted(name for name in {*pinned, *files} if pinned.get(name) != files.get(name))
    first = changed[0]
    state = "changed" if first in pinned and first in files else "new"
    state = "gone" if first not in files else state
    noun = "file differs" if len(changed) == 1 else "files differ"
    return f"{len(changed)} {noun} ({first}: {state})"


def _listing(root: Path, digest: str) -> Path:
    return root / ".synthgap" / "listings" / f"{digest}.json"


def _yaml() -> Any:  # noqa: ANN401 - ruamel's round-trip objects are untyped
    from ruamel.yaml import YAML

    yaml = YAML()  # keeps comments and order
    yaml.preserve_quotes = True
    return yaml


def _load(path: Path) -> Any:  # noqa: ANN401 - see above
    from ruamel.yaml.error import YAMLError

    try:
        document = _yaml().load(path.read_text(encoding="utf-8"))
    except (OSError, YAMLError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: unreadable ({reason}); {RESTORE}") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: not a DVC file; {RESTORE}")
    return document


def require_repository(root: Path) -> None:
    """Stop unless `root` is the top of a DVC repository.

    Raises:
        DataError: it is not.
    """
    if not (root / ".dvc").is_dir():
        raise DataError(f"{root}: no .dvc folder, expected the top of the checkout; cd there")


def is_unchanged(root: Path) -> bool:
    """Whether data/ is what data.dvc says, by DVC's md5 (cheap: it knows the files' times)."""
    if not (root / DATA_DVC).is_file():
        return False
    with _repository(root, "status") as repository:
        return not repository.status(targets=[str(root / DATA_DVC)])


def add(root: Path) -> None:
    """Bring data.dvc's md5 up to date with data/, as `dvc add data` does; other fields stay."""
    with _repository(root, "add") as repository:
        repository.add(str(root / "data"))


def checkout(root: Path) -> None:
    """Put what data.dvc lists into data/ from DVC's cache, as `dvc checkout data.dvc` does."""
    with _repository(root, "checkout") as repository:
        repository.checkout(targets=[str(root / DATA_DVC)])


@contextmanager
def _repository(root: Path, doing: str) -> Iterator[Any]:
    """Open the DVC repository at `root`.

    Raises:
        DataError: DVC fails, e.g. because another DVC command holds the repository.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logger = logging.getLogger("dvc")
    level = logger.level
    logger.setLevel(logging.ERROR)  # its hints on `git add` are ours to give, once
    try:
        with Repo(str(root)) as repository:
            yield repository
    except DvcException as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{root / DATA_DVC}: dvc {doing}: {reason}; mend that, rerun") from error
    finally:
        logger.setLevel(level)

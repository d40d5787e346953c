"""What an import needs of DVC, which is only loaded when it is needed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthgap.data.pins import DATA_DVC
from synthgap.errors import DataError


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

    spoken = logging.getLogger("dvc")
    level = spoken.level
    spoken.setLevel(logging.ERROR)  # its hints on `git add` are ours to give, once
    try:
        with Repo(str(root)) as repository:
            yield repository
    except DvcException as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{root / DATA_DVC}: dvc {doing}: {reason}; mend that, rerun") from error
    finally:
        spoken.setLevel(level)

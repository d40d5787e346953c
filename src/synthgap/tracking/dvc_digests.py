"""The digests under which DVC knows a path, read from its own files without importing it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from synthgap.errors import TrackingError

MAX_LENGTH = 36  # of a dataset's digest in MLflow: `<md5 in hex>.dir` fits exactly


def dvc_digests(root: Path) -> dict[str, str]:
    """Map each tracked path to its md5, from `dvc.lock` (outputs) and `data.dvc`.

    Raises:
        TrackingError: one of the files is not what DVC writes.
    """
    digests: dict[str, str] = {}
    for out in _read(root / "data.dvc").get("outs", []):
        _note(digests, out)
    stages = _read(root / "dvc.lock").get("stages", {}).values()
    for stage in stages:
        for dependency in stage.get("deps", []):  # parts of data/ that no stage puts out
            _note(digests, dependency)
    for stage in stages:
        for out in stage.get("outs", []):
            _note(digests, out)
    return digests


def dataset_digest(path: str, own: str, known: dict[str, str]) -> str:
    """DVC's digest of `path`, or the head of our own where DVC does not know it yet."""
    return known.get(path, own)[:MAX_LENGTH]


def _note(digests: dict[str, str], entry: dict[str, Any]) -> None:
    if "md5" in entry:
        digests[str(entry["path"])] = str(entry["md5"])


def _read(path: Path) -> dict[str, Any]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return {}
    return _parsed(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _parsed(path: Path, _mtime_ns: int, _size: int) -> dict[str, Any]:
    """The file's content, parsed once as long as it stays: a lock of 60 cells takes seconds."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise TrackingError(f"{path}: not YAML ({error}); restore it with git") from error
    if not isinstance(content, dict):
        raise TrackingError(f"{path}: expected what DVC writes; restore it with git")
    return content

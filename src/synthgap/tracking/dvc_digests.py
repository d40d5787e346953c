"""The digests under which DVC knows a path, read from its own files without importing it."""

from __future__ import annotations

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
    for stage in _read(root / "dvc.lock").get("stages", {}).values():
        for dependency in stage.get("deps", []):  # parts of data/ that no stage puts out
            _note(digests, dependency)
    for stage in _read(root / "dvc.lock").get("stages", {}).values():
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
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise TrackingError(f"{path}: not YAML ({error}); restore it with git") from error
    if not isinstance(content, dict):
        raise TrackingError(f"{path}: expected what DVC writes; restore it with git")
    return content

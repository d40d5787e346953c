"""Models made elsewhere: found in a folder or on the hub, known by their files' digest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from synthgap.errors import GeneratorError
from synthgap.jobs.writing import file_digest

KEPT = frozenset({".json", ".txt", ".model", ".safetensors"})
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack"})
_VARIANT = re.compile(r"\.(fp16|bf16|non_ema|ema)\b")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def found(
    location: str, revision: str | None, *, root: Path, patterns: Sequence[str], place: str
) -> tuple[Path, str | None]:
    """Folder and resolved revision of a local folder (from `root`) or a hub id.

    `patterns` say which files are fetched from the hub, `place` which parameter names it.

    Raises:
        GeneratorError: there is no such folder, and the hub does not give it.
    """
    local = root / Path(location).expanduser()
    if local.is_dir():
        return local, revision
    if not _HUB_ID.fullmatch(location) or location.startswith("."):
        raise GeneratorError(
            f"{local}: no such folder, expected a model's folder or a hub id such as owner/name; "
            f"correct {place}.location"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        snapshot = Path(
            snapshot_download(
                location,
                revision=revision,
                allow_patterns=list(patterns),
                ignore_patterns=["*.fp16.*", "*.bf16.*", "*.non_ema.*", "*.ema.*", "*_checker/*"],
            )
        )
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise GeneratorError(
            f"{location} (revision {revision}): cannot be had from the hub ({reason}); check id, "
            f"revision and network, or pin a local folder ({place})"
        ) from error
    return snapshot, snapshot.name


def defining_files(folder: Path) -> list[Path]:
    """Configuration and full-precision safetensors directly in `folder`, sorted.

    Raises:
        GeneratorError: there are pickles where safetensors should be.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    kept = [path for path in files if path.suffix in KEPT and not _VARIANT.search(path.name)]
    pickles = [path for path in files if path.suffix in PICKLES]
    if pickles and not any(path.suffix == ".safetensors" for path in kept):
        raise GeneratorError(
            f"{pickles[0]}: a pickle, expected .safetensors (pickles can run code); save the "
            "model with safe_serialization=True or pin another revision"
        )
    return kept


def files_digest(folder: Path, files: Iterable[Path]) -> str:
    """Hex sha256 over names and bytes of `files`, which lie below `folder`."""
    lines = "".join(
        f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n" for path in sorted(files)
    )
    return sha256(lines.encode()).hexdigest()

"""Models of others that write captions: found, and opened without pickles or foreign code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from synthgap.errors import GeneratorError
from synthgap.jobs.device import device_of
from synthgap.jobs.pinned import KEPT, defining_files, files_digest, found
from synthgap.params.sections import Runtime

CONFIG = "config.json"
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class LocalModel:
    """A transformers model folder, and what a caption says of its origin."""

    folder: Path
    location: str
    revision: str | None
    sha256: str

    def origin(self) -> dict[str, Any]:
        """What every caption by this model keeps of it."""
        return {"model": self.location, "revision": self.revision, "model_sha256": self.sha256}


def find_local_model(location: str, revision: str | None, *, root: Path) -> LocalModel:
    """Find a model: a folder (from `root`), or a hub id, whose safetensors are fetched.

    Raises:
        GeneratorError: it is not there, or has pickles only.
    """
    if not (root / Path(location).expanduser()).is_dir() and location.count("/") != 1:
        raise GeneratorError(
            f"{location}: no such folder, expected a transformers model's folder or a hub id such "
            "as owner/name; correct --model"
        )
    patterns = [f"*{suffix}" for suffix in sorted(KEPT)]
    folder, revision = found(location, revision, root=root, patterns=patterns, place="--model")
    if not (folder / CONFIG).is_file():
        raise GeneratorError(
            f"{folder / CONFIG}: missing, expected a model folder of transformers; correct --model"
        )
    digest = files_digest(folder, defining_files(folder))
    return LocalModel(folder, location, revision, digest)


@contextmanager
def opening(borrowed: LocalModel, kind: str) -> Iterator[dict[str, Any]]:
    """Yield how to open its parts, and say in one line that it is not of the expected kind."""
    try:
        yield {"local_files_only": True, "trust_remote_code": False}
    except (OSError, ValueError, TypeError, AttributeError, ImportError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise GeneratorError(
            f"{borrowed.folder}: transformers cannot open it as {kind} ({reason}); expected one "
            "with safetensors and without code of its own, correct --model"
        ) from error


def weights(runtime: Runtime) -> dict[str, Any]:
    """How to open its network: from safetensors alone, in the asked precision."""
    return {"use_safetensors": True, "dtype": _DTYPES[runtime.precision]}


def settled(network: Any, runtime: Runtime) -> Any:  # noqa: ANN401 - transformers is untyped
    """The network, frozen, on the asked device."""
    return network.eval().requires_grad_(requires_grad=False).to(device_of(runtime))

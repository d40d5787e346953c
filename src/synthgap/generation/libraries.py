"""Names of diffusers and transformers objects for mypy; saving that names no machine."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from synthgap.jobs import read_json

AutoencoderModel: TypeAlias = Any
"""diffusers.AutoencoderKL"""
ClipModel: TypeAlias = Any
"""transformers.CLIPModel"""
Pipeline: TypeAlias = Any
"""diffusers.DiffusionPipeline"""
Scheduler: TypeAlias = Any
"""diffusers.DDIMScheduler"""
Tokenizer: TypeAlias = Any
"""transformers.PreTrainedTokenizerFast, or whatever a pinned pipeline has"""
TextTower: TypeAlias = Any
"""transformers.CLIPTextModel"""


ORIGIN = "_name_or_path"  # where a part was loaded from: another folder on every machine


def quiet(*libraries: str) -> None:
    """Keep `diffusers` or `transformers` from drawing bars and repeating what we know."""
    for name in libraries:
        logging = import_module(name).utils.logging
        logging.set_verbosity_error()
        logging.disable_progress_bar()


@contextmanager
def full_disk_errors(folder: Path) -> Iterator[None]:
    """Turn the way in which safetensors says that the disk took no more into an OSError."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise OSError(errno.ENOSPC, f"{error}", str(folder)) from error


def forget_origin(folder: Path) -> None:
    """Rewrite every JSON file below `folder` without the paths that its parts were loaded from."""
    for path in sorted(folder.rglob("*.json")):
        if ORIGIN in path.read_text(encoding="utf-8"):
            kept = _without_origin(read_json(path))
            path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _without_origin(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_origin(each) for key, each in value.items() if key != ORIGIN}
    return [_without_origin(each) for each in value] if isinstance(value, list) else value

"""Write whole or not at all: a temporary name, then a rename."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it becomes `path` only if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any] | list[Any]) -> None:
    """Write sorted, indented JSON whole or not at all; NaN is refused with ValueError."""
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    with whole_file(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def write_state(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values for `torch.load(weights_only=True)`, whole or not at all.

    By way of memory, since torch turns a full disk into a RuntimeError; here it stays an OSError.
    """
    import torch

    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    with whole_file(path) as partial:
        partial.write_bytes(buffer.getbuffer())


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON is whatever was written
    """Read a JSON file that this package wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def publish(finished: Path, output: Path) -> None:
    """Move a finished folder to its output path, replacing what is there."""
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.exists():
        shutil.rmtree(output)
    finished.rename(output)


def file_digest(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    digest = sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def folder_digest(folder: Path, *, pattern: str = "*") -> str:
    """Hex sha256 over the names and bytes of the files below `folder` matching `pattern`."""
    lines = (
        f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n"
        for path in sorted(folder.rglob(pattern))
        if path.is_file()
    )
    return sha256("".join(lines).encode()).hexdigest()


def content_digest(content: Mapping[str, Any]) -> str:
    """Hex sha256 of the canonical JSON of `content`."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode()).hexdigest()

"""Rows kept as lines of JSON: what a killed process had finished is there when it starts again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Every whole line; what a killed process left half written behind them is cut off."""
    if not path.is_file():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """Append one row, on the disk when this returns; NaN is refused with ValueError."""
    line = json.dumps(row, allow_nan=False, ensure_ascii=False)
    with path.open("ab") as stream:
        stream.write(line.encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())

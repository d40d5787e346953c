"""What the architecture tests look at: syntax trees, dvc.yaml, and what git keeps."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIPELINES = ROOT / "pipelines"
PACKAGE = ROOT / "src" / "synthgap"


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions_of(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            yield node


def stages() -> dict[str, dict[str, Any]]:
    """The stages of dvc.yaml in their order."""
    from ruamel.yaml import YAML

    content = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")
    return dict(content["stages"])


def stage_files() -> dict[str, Path]:
    return {path.stem: path for path in PIPELINES.glob("*.py") if path.stem != "__init__"}


def kept_files() -> list[str]:
    """Paths that git tracks, or would once they are added."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"{ROOT}: no git checkout")
    return sorted({name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()})

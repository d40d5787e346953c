"""Which code a stage depends on: what dvc.yaml lists, and nothing else.

The digest names unfinished work (a killed run does not go on under other code) and entries of
disposable caches. It never enters an output or a run's digest: a change that alters no result
leaves every byte as it was, and DVC stops there.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from synthgap.jobs.writing import content_digest, file_digest, folder_digest

PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parents[1]
CODE = ("pipelines/", "src/")


def code_deps(stage: str, checkout: Path = CHECKOUT) -> list[str]:
    """Paths of code that dvc.yaml lists for a stage, relative to the checkout, sorted.

    Raises:
        KeyError: dvc.yaml has no such stage.
    """
    import yaml

    stages = yaml.safe_load((checkout / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    deps = (dep if isinstance(dep, str) else next(iter(dep)) for dep in stages[stage]["deps"])
    return sorted(dep for dep in deps if dep.startswith(CODE))


@cache
def code_digest(stage: str, checkout: Path = CHECKOUT) -> str:
    """Hex sha256 of the code that a stage depends on, read once a process.

    Where the package is installed without its checkout, of the whole package.
    """
    if not (checkout / "dvc.yaml").is_file():
        return folder_digest(PACKAGE, pattern="*.py")
    return content_digest({dep: _digest(checkout / dep) for dep in code_deps(stage, checkout)})


def _digest(path: Path) -> str:
    return folder_digest(path, pattern="*.py") if path.is_dir() else file_digest(path)

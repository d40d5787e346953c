"""A checkout made tiny in a folder of its own, run by DVC as a person would run it.

Used by the journey and by `make relock`; plain Python, so that it runs without pytest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from warm_dvc import WarmDvc

SMALLER = "tests/tiny.yaml"
REPLACED = {"options", "space", "settings"}  # as recipes replace them


@dataclass(frozen=True)
class Clone:
    """A git clone to run commands in, with its own DVC cache and MLflow store."""

    root: Path
    env: dict[str, str]
    warm: WarmDvc | None = None

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command there and return what it printed."""
        done = subprocess.run(
            command, cwd=self.root, env=self.env, text=True, capture_output=True, check=False
        )
        if check:
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def dvc(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a DVC command there as a person would: it starts a process a stage."""
        return self.run(sys.executable, "-m", "dvc", *arguments, check=check)

    def repro(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`dvc repro ARGUMENTS` whose stages need not import anything, where there is `warm`."""
        if self.warm is None:
            return self.dvc("repro", *arguments)
        done = self.warm.run(["repro", *arguments], cwd=self.root, env=self.env)
        assert done.returncode == 0, f"repro {arguments}\n{done.stdout}"
        return done

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command there in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.env,
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def set_params(self, changes: dict[str, Any]) -> None:
        """Change values of params.yaml."""
        path = self.root / "params.yaml"
        path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), changes)))

    def locked(self) -> dict[str, str]:
        """The digest of every output in dvc.lock."""
        lock = yaml.safe_load((self.root / "dvc.lock").read_text())
        return {
            out["path"]: out["md5"]
            for stage in lock["stages"].values()
            for out in stage.get("outs", [])
        }


def copy_tree(checkout: Path, root: Path) -> None:
    """Copy what git tracks or would track of a checkout, as it lies there, without dvc.lock."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (checkout / name).is_file() and name != "dvc.lock":
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, root / name)


def make_tiny(root: Path, warm: WarmDvc | None = None) -> Clone:
    """Turn a copied checkout into a committed clone with tiny parameters."""
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(root / "src"),
        "DVC_SITE_CACHE_DIR": str(root / ".dvc-site"),
        "SYNTHGAP_TRACKING": "off",
    }
    clone = Clone(root, env, warm)
    clone.set_params(yaml.safe_load((root / SMALLER).read_text()))
    clone.run("git", "init", "-q", "-b", "main")
    clone.run("git", "config", "user.email", "tests@example.com")
    clone.run("git", "config", "user.name", "tests")
    clone.run("git", "add", "-A")
    clone.run("git", "commit", "-qm", "tests: start")
    return clone


def merged(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`tree` with `changes` put over it, key by key."""
    result = dict(tree)
    for name, value in changes.items():
        inner = tree.get(name)
        both = isinstance(value, dict) and isinstance(inner, dict) and name not in REPLACED
        result[name] = merged(inner, value) if both else value
    return result

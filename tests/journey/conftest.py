"""A clone of this checkout with everything made tiny, run by DVC as a person would run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

TINY: dict[str, Any] = {
    "data": {"splits": {"corpus": 12, "train": 12, "val": 4, "test": 8}},
    "generator": {
        "checkpoint_every_steps": 2,
        "autoencoder": {"steps": 60},
        "denoiser": {"steps": 60},
    },
    "rivals": {"dit": {"checkpoint_every_steps": 2, "transformer": {"steps": 6, "layers": 1}}},
    "synthesize": {"steps": 3},
    "student": {"options": {"channels": [8, 8, 16, 16], "stem_width": 8}},
    "training": {
        "epochs": 3,
        "warmup_epochs": 1,
        "last_epochs": 2,
        "batch_size": 30,
        "local_crops": {"count": 2},
        "pixmix": {"num_pictures": 4},
    },
    "train": {"seeds": [0, 1]},
    "transfer": {"seeds": [0]},
    "control": {"seeds": [0]},
    "reduce": {"seeds": [0]},
    "teacher": {"steps": 4},
    "oracle": {"steps": 4, "sampling_steps": 2},
    "stylise": {"steps": 4, "num_pictures": 4},
    "ablate": {"seeds": [0]},
    "layers": {"seeds": [0, 1]},
    "references": {"tutor": {"pretext": {"epochs": 1}}},
    "guide": {"seeds": [0, 1], "epochs": 2, "csg": {"reference": "tutor"}},
    "protocols": {
        "low-shot": {"real_per_class": 2, "compared": ["pooled", "rg-pg"], "methods": ["adda"]},
    },
    "gap": {"sets": ["train", "g2.0"], "seeds": [0, 1]},
    "tune": {
        "settings": {
            "guide.epochs": 2,
            "training.batch_size": 30,
            "training.warmup_epochs": 1,
            "training.last_epochs": 1,
            "training.local_crops.count": 2,
            "protocols.low-shot.real_per_class": 2,
        },
        "study": {
            "watched": [],
            "trials": 3,
            "first": [],
            "grid": [],
            "space": {
                "guide.image_set.guidance_scale": [2.0, 4.0],
                "guide.augmentation": ["pytorch", "none"],
            },
            "finals": {"count": 1, "seeds": [10], "scored_seeds": [20, 21]},
        },
    },
    "clone": {"seeds": [0], "curve_sets": ["dit-g2.0"], "curve_shares": [0.5]},
    "summarise": {"resamples": 100},
    "validate": {
        "max_memorised_share": 1.0,
        "max_leaked_share": 1.0,
        "max_synthetic_duplicate_share": 1.0,
        "min_pixel_std": 0.0,
        "max_channel_mean_shift": 255.0,
        "max_channel_std_ratio": 1000.0,
        "max_fid": None,
        "min_coverage": None,
        "min_agreement": None,
        "min_authenticity": None,
    },
    "grid": {
        "synthetic_sets": ["g2.0", "dit-g2.0"],
        "clones": ["dit-g2.0"],
        "sets": ["train", "corpus", "g2.0"],
        "depths": [2],
        "control_depths": [2],
        "fractions": [1, 4],
        "ablations": ["oracle", "supervision"],
        "references": ["tutor"],
        "guides": ["low-shot"],
    },
}


@dataclass(frozen=True)
class Clone:
    """A git clone to run commands in, with its own DVC cache and MLflow store."""

    root: Path
    env: dict[str, str]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command there and return what it said."""
        done = subprocess.run(
            command, cwd=self.root, env=self.env, text=True, capture_output=True, check=False
        )
        if check:
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def dvc(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a DVC command there."""
        return self.run(sys.executable, "-m", "dvc", *arguments, check=check)

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
        path.write_text(yaml.safe_dump(_merged(yaml.safe_load(path.read_text()), changes)))

    def locked(self) -> dict[str, str]:
        """The digest of every output in dvc.lock."""
        lock = yaml.safe_load((self.root / "dvc.lock").read_text())
        return {
            out["path"]: out["md5"]
            for stage in lock["stages"].values()
            for out in stage.get("outs", [])
        }


@pytest.fixture(scope="session")
def clone_into(checkout: Path) -> Callable[[Path], Clone]:
    """Make a tiny clone of the working tree, committed, in an empty folder."""

    def make(root: Path) -> Clone:
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
        env = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(root / "src"),
            "DVC_SITE_CACHE_DIR": str(root / ".dvc-site"),
            "SYNTHGAP_TRACKING": "off",
        }
        clone = Clone(root, env)
        clone.set_params(TINY)
        clone.run("git", "init", "-q", "-b", "main")
        clone.run("git", "config", "user.email", "tests@example.com")
        clone.run("git", "config", "user.name", "tests")
        clone.run("git", "add", "-A")
        clone.run("git", "commit", "-qm", "tests: start")
        return clone

    return make


def _merged(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(tree)
    for name, value in changes.items():
        inner = tree.get(name)
        whole = name in {"options", "space", "settings"}  # as recipes replace them
        both = isinstance(value, dict) and isinstance(inner, dict) and not whole
        merged[name] = _merged(inner, value) if both else value
    return merged

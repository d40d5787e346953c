"""Small real folders of images, and DVC and git as a user runs them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from synthgap.data.checking import contents
from synthgap.data.folder import RawFolder
from synthgap.data.versioning import digest_of

REPOSITORY = Path(__file__).parents[3]


def paint(path: Path, seed: int, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Path:
    """Write one noisy image; equal seeds give equal pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def paint_folder(root: Path, classes=("cat", "dog"), per_class=12, suffix=".png", start=0) -> Path:
    """Class folders of distinct images."""
    for number, name in enumerate(classes):
        for index in range(per_class):
            paint(root / name / f"{index:03d}{suffix}", start + 1000 * number + index)
    return root


def mode_and_size(path: Path) -> tuple[str, tuple[int, int]]:
    """Mode and size of an image file."""
    with Image.open(path) as picture:
        return picture.mode, picture.size


def write_pins(root: Path, *names: str) -> None:
    """A data.dvc as `dvc add` would leave it, with the pins of what lies there now."""
    lines = ["outs:", "- path: data", "meta:", "  sets:"]
    for name in names:
        digest = digest_of(contents(RawFolder.read(root / "data" / name).images))
        lines.append(f"    {name}: {digest}")
    (root / "data.dvc").write_text("\n".join(lines) + "\n")


def dvc(root: Path, *arguments: str) -> str:
    """Run DVC as a user would and return everything that it said."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def git(root: Path, *arguments: str) -> str:
    """Run git with an identity of its own."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def yes(question):
    """Agree, as a person who means it would."""
    return True


def never(question):
    """Fail, since nothing should be asked."""
    raise AssertionError(question)

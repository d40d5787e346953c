"""What DVC takes for a large synthetic set: as tar shards with a manifest, against loose files.

Both sides are outputs of stage synthesize (an instant generator), in one scratch repository with a
remote in a folder beside it: `dvc add` (which commits to the cache), `status`, `commit`, `push`,
and `checkout` after the set is deleted. Sides are measured in turns, every command a process.

    python benchmarks/dvc_sets.py [--images 100000] [--quick]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from instant import checkout, make
from turns import arguments, keep, quotients, spread

SIDES = {"sharded": 0, "loose": 10**9}  # shard_above
COMMANDS = {
    "add": ["add", "set"],
    "status": ["status"],
    "commit": ["commit", "--force", "set"],
    "push": ["push"],
    "checkout": ["checkout", "set"],
}


def repository(root: Path, environ: dict[str, str]) -> Path:
    """An empty repository with DVC and a remote in a folder."""
    repo = root / "repo"
    repo.mkdir(parents=True)
    for command in (
        ["git", "init", "--quiet"],
        dvc("init", "--quiet"),
        dvc("remote", "add", "--quiet", "--default", "there", str(root / "remote")),
    ):
        subprocess.run(command, cwd=repo, env=environ, check=True)
    return repo


def dvc(*words: str) -> list[str]:
    """A DVC command of this Python."""
    return [sys.executable, "-m", "dvc", *words]


def timed(side: Path, root: Path) -> dict[str, float]:
    """Seconds of every command on a copy of the set."""
    environ = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(root / "site")}
    repo = repository(root, environ)
    shutil.copytree(side, repo / "set")
    seconds = {}
    for name, words in COMMANDS.items():
        if name == "checkout":
            shutil.rmtree(repo / "set")
        begun = time.perf_counter()
        subprocess.run(dvc(*words), cwd=repo, env=environ, check=True, stdout=subprocess.DEVNULL)
        seconds[name] = time.perf_counter() - begun
    return seconds


def main() -> None:
    """Make both sets, measure in turns, print and keep."""
    parser = arguments(__doc__ or "", rounds=1, threads=1)
    parser.add_argument("--images", type=int, default=100_000)
    given = parser.parse_args()
    images = 2_000 if given.quick else given.images
    with tempfile.TemporaryDirectory(prefix="synthgap-") as name:
        root = Path(name)
        sets = {}
        for side, above in SIDES.items():
            checkout(root / side)
            sets[side] = make(root / side, images, shard_above=above).root
        turns = [
            {side: timed(sets[side], root / f"turn-{turn}-{side}") for side in SIDES}
            for turn in range(given.rounds)
        ]
        sizes = {side: _size(path) for side, path in sets.items()}
    found: dict[str, Any] = {"images": images, "files": sizes, "seconds": {}, "times_faster": {}}
    for command in COMMANDS:
        times = {side: [turn[side][command] for turn in turns] for side in SIDES}
        found["seconds"][command] = {side: spread(each) for side, each in times.items()}
        found["times_faster"][command] = quotients(times["loose"], times["sharded"])
        print(
            f"{command:<9} sharded {found['seconds'][command]['sharded']['median']:7.1f} s, loose "
            f"{found['seconds'][command]['loose']['median']:7.1f} s, "
            f"{found['times_faster'][command]['median']:.1f} times faster"
        )
    keep(given, found)


def _size(folder: Path) -> dict[str, int]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {"count": len(files), "bytes": sum(path.stat().st_size for path in files)}


if __name__ == "__main__":
    main()

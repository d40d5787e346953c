"""What a kill costs a large set: 100,000 images by an instant generator, killed and resumed.

The stage, its parts, journals, encoding and assembly are the real ones. Overhead is the time from
the second command to its first new image, imports included; the whole run and the killed one with
the resumed one are timed too, in turns.
Also: how long the manifest of a million images takes to open.

    python benchmarks/resume.py [--images 100000] [--quick]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from instant import NAME, checkout
from turns import arguments, keep, spread

from synthgap.data.image_set import ImageSet, write_manifest
from synthgap.generation.synthesis.journal import num_done
from synthgap.jobs import Artifacts

TARGET_S, ROWS = 10.0, 1_000_000
LOOK_S = 0.1


def started(root: Path, images: int) -> tuple[subprocess.Popen[bytes], float]:
    """The stage as a command, and when it began."""
    command = [sys.executable, str(Path(__file__).with_name("instant.py")), str(root), str(images)]
    begun = time.perf_counter()
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
    return process, begun


def whole(root: Path, images: int) -> float:
    """Seconds of a run without interruption."""
    checkout(root)
    process, begun = started(root, images)
    assert process.wait() == 0
    return time.perf_counter() - begun


def killed(root: Path, images: int) -> dict[str, float]:
    """Seconds of a run that is killed half way, and of the one that goes on."""
    artifacts = checkout(root)
    process, begun = started(root, images)
    while journalled(artifacts) < images // 2:
        assert process.poll() is None
        time.sleep(LOOK_S)
    process.kill()
    process.wait()
    before = time.perf_counter() - begun
    left = journalled(artifacts)
    process, begun = started(root, images)
    while journalled(artifacts) <= left:
        assert process.poll() is None
        time.sleep(LOOK_S)
    first = time.perf_counter() - begun
    assert process.wait() == 0
    return {
        "until_the_kill_s": before,
        "images_kept": left,
        "resumed_s": time.perf_counter() - begun,
        "first_new_image_after_s": first,
    }


def journalled(artifacts: Artifacts) -> int:
    """Images of which the work folder's journals tell."""
    return sum(map(num_done, artifacts.work.glob("*/round-00/*.jsonl")))


def opening(rows: int) -> dict[str, float]:
    """Seconds to open the manifest of a packed set of so many rows."""
    with tempfile.TemporaryDirectory() as name:
        root, numbers = Path(name), np.arange(rows)
        columns = {
            "path": [f"class_{k % 1000:03d}/{k // 1000:05d}.png" for k in range(rows)],
            "label": numbers % 1000,
            "class_name": [f"class_{k % 1000:03d}" for k in range(rows)],
            "k": numbers,
            "prompt": [f"a class {k % 1000}" for k in range(rows)],
            "seed": np.random.default_rng(0).integers(0, 2**62, rows),
            "sha256": [f"{k:064x}" for k in range(rows)],
            "shard": [f"shards/{k // 5000:05d}.tar" for k in range(rows)],
            "offset": numbers % 5000 * 2000,
            "size": np.full(rows, 1500),
        }
        classes = [f"class_{label:03d}" for label in range(1000)]
        times = {"rows": float(rows)}
        times["write_s"] = timed(
            lambda: write_manifest(root, kind="synthetic", classes=classes, columns=columns)
        )
        times["open_s"] = timed(lambda: ImageSet.read(root))
        images = ImageSet.read(root)
        times["digest_s"] = timed(lambda: images.digest)
        times["all_columns_s"] = timed(images.rows)
    return times


def timed(work: Any) -> float:  # noqa: ANN401
    """Seconds that `work()` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Run both sides in turns, compare their sets, and print what a kill cost."""
    parser = arguments(__doc__ or "", rounds=3, threads=1)
    parser.add_argument("--images", type=int, default=100_000)
    given = parser.parse_args()
    images, rounds = (5_000, 1) if given.quick else (given.images, given.rounds)
    turns = [_turn(images) for _ in range(rounds)]
    found: dict[str, Any] = {"images": images, "rounds": rounds}
    found |= {name: spread([turn[name] for turn in turns]) for name in turns[0]}
    found["same_bytes"] = all(turn["same_bytes"] for turn in turns)
    found["manifest"] = opening(ROWS // 10 if given.quick else ROWS)
    for key, value in found.items():
        print(f"{key}: {value}")
    overhead = found["first_new_image_after_s"]["median"]
    verdict = "met" if overhead < TARGET_S and found["same_bytes"] else "MISSED"
    print(f"overhead {overhead:.1f} s, target {TARGET_S:g} s: {verdict}")
    keep(given, found)


def _turn(images: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="synthgap-") as name:
        alone, other = Path(name) / "whole", Path(name) / "killed"
        found = {"whole_s": whole(alone, images), **killed(other, images)}
        folders = [Artifacts(root, "instant").image_set(NAME) for root in (alone, other)]
        one, two = (ImageSet.read(folder).digest for folder in folders)
    spent = found["until_the_kill_s"] + found["resumed_s"]
    return {**found, "longer_than_whole_s": spent - found["whole_s"], "same_bytes": one == two}


if __name__ == "__main__":
    main()

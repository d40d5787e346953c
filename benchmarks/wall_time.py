"""Where the wall time of the last `dvc repro` went: own work of the stages, and all the rest.

Own work is what the pipeline is for: training what makes images, sampling, training students. The
rest is start-up, imports, validation, registering, reporting and DVC itself.

    python benchmarks/wall_time.py [CHECKOUT] [--out benchmarks/results/wall_time.json]
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from synthgap.jobs import environment, read_json, write_json

MAKING = {
    "judge", "generator", "rivals", "synthesize", "teacher", "oracle", "stylise", "references"
}  # fmt: skip
LEARNING = {"train", "transfer", "control", "reduce", "ablate", "clone", "guide", "gap"}
OWN_WORK = MAKING | LEARNING
Interval = tuple[float, float]


def covered(intervals: list[Interval], within: Interval) -> float:
    """Seconds of `within` that at least one interval covers; runs of a cell overlap."""
    total, reached = 0.0, within[0]
    for start, end in sorted(intervals):
        total += max(0.0, min(end, within[1]) - max(start, reached))
        reached = max(reached, min(end, within[1]))
    return total


def measure(root: Path) -> dict[str, Any]:
    """Seconds by stage, and how much of them was own work."""
    times = root / ".synthgap" / "times"
    folders = (times / "epochs", times / "sampling")
    runs = [read_json(path) for folder in folders for path in sorted(folder.glob("*.json"))]
    intervals = [(run["start"], run["end"]) for run in runs]
    cells = [read_json(path) for path in sorted((times / "stages").glob("*.json"))]
    if not cells:
        raise SystemExit(f"{times}: no stage has run here; run `make repro` first")
    stages: dict[str, dict[str, float]] = defaultdict(
        lambda: {"cells": 0, "wall_s": 0.0, "own_work_s": 0.0}
    )
    for cell in cells:
        row = stages[cell["stage"]]
        row["cells"] += 1
        row["wall_s"] += cell["end"] - cell["start"]
        if cell["stage"] in OWN_WORK:
            row["own_work_s"] += covered(intervals, (cell["start"], cell["end"]))
    wall = max(cell["end"] for cell in cells) - min(cell["start"] for cell in cells)
    own = sum(row["own_work_s"] for row in stages.values())
    inside = sum(row["wall_s"] for row in stages.values())
    return {
        "wall_s": wall,
        "own_work_s": own,
        "rest_s": wall - own,
        "between_stages_s": wall - inside,
        "stages": {name: dict(row) for name, row in stages.items()},
        "environment": environment(threads=1),
    }


def main() -> None:
    """Print a table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", nargs="?", type=Path, default=Path())
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = measure(given.checkout)
    print(f"{'stage':<12} {'cells':>5} {'wall s':>8} {'own work s':>11} {'rest s':>8}")
    for name, row in sorted(found["stages"].items(), key=lambda item: -item[1]["wall_s"]):
        rest = row["wall_s"] - row["own_work_s"]
        print(
            f"{name:<12} {row['cells']:>5.0f} {row['wall_s']:>8.1f} "
            f"{row['own_work_s']:>11.1f} {rest:>8.1f}"
        )
    print(f"{'between':<12} {'':>5} {found['between_stages_s']:>8.1f}")
    print(json.dumps({key: round(found[key], 1) for key in ("wall_s", "own_work_s", "rest_s")}))
    if given.out:
        write_json(given.out, found)


if __name__ == "__main__":
    main()

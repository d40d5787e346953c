"""Sides of a comparison, measured in turns: a busy moment of the machine meets all of them."""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from synthgap.jobs import environment, write_json

RESULTS = Path(__file__).parent / "results"
Times = dict[str, list[float]]


def arguments(doc: str, *, rounds: int, threads: int) -> argparse.ArgumentParser:
    """Options that every comparison has; `--quick` results are printed, not kept."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds, help="turns of each side")
    parser.add_argument("--threads", type=int, default=threads, help="of torch, for every side")
    parser.add_argument("--quick", action="store_true", help="two short turns; writes nothing")
    parser.add_argument("--out", type=Path, help="JSON; default benchmarks/results/<script>.json")
    return parser


def in_turns(sides: Mapping[str, Callable[[], object]], rounds: int, *, warm: int = 1) -> Times:
    """Seconds of every side in each round, after `warm` rounds that do not count."""
    times: Times = {name: [] for name in sides}
    for number in range(warm + rounds):
        for name, work in sides.items():
            gc.collect()
            started = time.perf_counter()
            work()
            if number >= warm:
                times[name].append(time.perf_counter() - started)
    return times


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and extremes."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def quotients(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Spread of above/below, round by round: neighbours in time are compared."""
    return spread([one / other for one, other in zip(above, below, strict=True)])


def report(what: str, ratio: Mapping[str, float], target: str, *, met: bool) -> None:
    """Print a ratio beside its target."""
    low, high = ratio["low"], ratio["high"]
    verdict = "met" if met else "MISSED"
    print(f"{what}: {ratio['median']:.2f} [{low:.2f} to {high:.2f}], target {target}: {verdict}")


def keep(given: argparse.Namespace, found: Mapping[str, Any], *, device: str = "cpu") -> None:
    """Write what was found, and where; a quick run keeps nothing unless told where."""
    name = Path(sys.argv[0]).stem
    out = given.out or (None if given.quick else RESULTS / f"{name}.json")
    if out is not None:
        machine = {"cores": os.cpu_count(), "load_average": os.getloadavg()[0]}
        seen = environment(threads=given.threads, device=device)
        write_json(out, {"benchmark": name, **found, "machine": machine, "environment": seen})

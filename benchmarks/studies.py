"""What the machinery of a study costs a trial: a null attempt, several storages, 1 and 4 workers.

A trial here trains nothing: it is taken, its values are drawn, two epochs are reported, its row is
kept, and it ends. Seconds a trial are wall time x workers / trials, from when the workers begin
(their imports are done) to when the last ends; target: under 1 s. Four workers share what cores
there are, so seconds of CPU are told too (opening the storage included). PostgreSQL is Debian's,
started for this in a folder of its own with its defaults, fsync included.

    python benchmarks/studies.py [--trials 40] [--rounds 3] [--quick]
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from turns import arguments, keep, report, spread

from synthgap.params import read_params
from synthgap.params.studies import SearchInterval
from synthgap.studies.storage import close_storage, create_study, open_storage
from synthgap.studies.trials.plan import AttemptReport, StudyPlan
from synthgap.studies.trials.queue import counted
from synthgap.studies.workers import work

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))

from postgresql_server import Server, binaries  # noqa: E402

TARGET_S = 1.0
EPOCHS = 2
WORKERS = (1, 4)
FORK = multiprocessing.get_context("fork")


def plan_of(trials: int) -> StudyPlan:
    """The shipped study's keys, drawn by TPE and pruned by nobody."""
    params = read_params(ROOT / "params.yaml")
    space = {
        "guide.rg.lambda_1": SearchInterval(0.05, 0.95, 0.05, log=False),
        "guide.pg.similarity": ("l1", "kl"),
        "guide.pg.distance": ("cosine", "l2"),
        "training.base_lr": SearchInterval(0.5, 4.0, None, log=True),
    }
    study = replace(
        params.tune.study, trials=trials, space=space, grid=(), first=(), watched=(), pruner="none"
    )
    return StudyPlan("overhead", study, params)


def nothing(values: Mapping[str, Any], *, seed: int, share: float) -> Iterator[AttemptReport]:
    """An attempt that takes no time."""
    del seed, share
    for epoch in range(1, EPOCHS + 1):
        yield AttemptReport(epoch, epoch, {"val/top1": 100 * float(values["guide.rg.lambda_1"])})


def measured(url: str, trials: int, workers: int) -> dict[str, float]:
    """Seconds to create a study with its budget, and of each of its trials; of the CPU too."""
    plan = plan_of(trials)
    storage = open_storage(url, ROOT)
    begun = time.perf_counter()
    study = create_study(plan, storage)
    created = time.perf_counter() - begun
    close_storage(storage)
    start = FORK.Barrier(workers + 1)
    crew = [FORK.Process(target=_worker, args=(url, plan, start)) for _ in range(workers)]
    for one in crew:
        one.start()
    spent = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    start.wait()
    begun = time.perf_counter()
    for one in crew:
        one.join()
    wall = time.perf_counter() - begun
    spent = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - spent
    done = len(counted(study.get_trials()))
    close_storage(storage)
    if done != trials or any(one.exitcode for one in crew):
        raise SystemExit(f"{done} of {trials} trials; exit codes {[one.exitcode for one in crew]}")
    return {"create_s": created, "trial_s": wall * workers / trials, "cpu_s": spent / trials}


def _worker(url: str, plan: StudyPlan, start: Barrier) -> None:
    storage = open_storage(url, ROOT)
    study = create_study(plan, storage)
    start.wait()
    work(study, plan, nothing)
    close_storage(storage)


@contextmanager
def storages(root: Path) -> Iterator[dict[str, str]]:
    """A url of every kind; without a PostgreSQL here, of the others."""
    urls = {"sqlite": f"sqlite:///{root}/s.db", "journal": f"journal://{root}/s.log"}
    programs = binaries()
    if programs is None:
        print("no PostgreSQL here: /usr/lib/postgresql/*/bin/initdb")
        yield urls
        return
    loader = Server(programs, options="")
    try:
        loader.start()
        yield {**urls, "postgresql": loader.url}
    finally:
        loader.stop()


def main() -> None:
    """Measure every storage with every number of workers, in turns; print and keep."""
    parser = arguments(__doc__ or "", rounds=3, threads=1)
    parser.add_argument("--trials", type=int, default=40)
    given = parser.parse_args()
    trials, rounds = (8, 1) if given.quick else (given.trials, given.rounds)
    turns: dict[tuple[str, int], list[dict[str, float]]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="synthgap-") as name:
            for workers in WORKERS:
                root = Path(name) / str(workers)
                root.mkdir()
                with storages(root) as urls:
                    for kind, url in urls.items():
                        turns.setdefault((kind, workers), []).append(measured(url, trials, workers))
    sides = []
    for (kind, workers), times in turns.items():
        each = {
            key: spread([turn[key] for turn in times]) for key in ("create_s", "trial_s", "cpu_s")
        }
        met = each["trial_s"]["median"] < TARGET_S
        sides.append({"storage": kind, "workers": workers, **each, "target_met": met})
        report(
            f"{kind}, {workers} worker(s), {each['cpu_s']['median']:.3f} s of CPU, s a trial",
            each["trial_s"],
            f"under {TARGET_S:g} s",
            met=met,
        )
    keep(given, {"trials": trials, "epochs": EPOCHS, "target_s": TARGET_S, "sides": sides})


if __name__ == "__main__":
    main()

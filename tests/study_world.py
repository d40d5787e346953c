"""Studies without training: a plan, an attempt that only sleeps, and workers as processes."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._rdb.models import TrialHeartbeatModel
from sqlalchemy import update

from synthgap.params import read_params
from synthgap.params.sections import Params
from synthgap.params.studies import SearchInterval
from synthgap.studies.heartbeat import Heartbeat, HeartbeatJournal
from synthgap.studies.storage import close_storage, load_study, open_storage
from synthgap.studies.trials.plan import AttemptReport, StudyPlan
from synthgap.studies.trials.queue import by_slot, counted, deaths, is_done
from synthgap.studies.workers import work

ROOT = Path(__file__).resolve().parents[1]
SHORT = Heartbeat(interval_s=1, grace_s=3)
LAMBDA, SIMILARITY = "guide.rg.lambda_1", "guide.pg.similarity"
LABELS = {"generator": 700, "reference": 0, "student": 50}


@cache
def shipped() -> Params:
    return read_params(ROOT / "recipes" / "digits.yaml")


def plan_of(trials: int = 4, **changed: Any) -> StudyPlan:
    """The default and then drawn trials, over two keys."""
    params = shipped()
    space = {LAMBDA: SearchInterval(0.05, 0.95, 0.05, log=False), SIMILARITY: ("l1", "kl")}
    given = {
        "trials": trials, "space": space, "grid": (), "first": (), "watched": (), "shares": (1.0,),
        "seeds": (0,), "pruner": "none", "sampler": "random", "objectives": ("val/top1",),
    }  # fmt: skip
    return StudyPlan("joint", replace(params.tune.study, **{**given, **changed}), params)


class Sleeper:
    """Two epochs that take `epoch_s` each; every start and end is a line of the log."""

    def __init__(self, log: Path, epoch_s: float = 0.0) -> None:
        self.log, self.epoch_s = log, epoch_s

    def __call__(
        self, values: Mapping[str, Any], *, seed: int, share: float
    ) -> Iterator[AttemptReport]:
        self.note("start", values)
        for epoch in (1, 2):
            time.sleep(self.epoch_s)
            facts = {"image_set": "g2.0", "num_images": 9, "real_labels": LABELS}
            yield AttemptReport(epoch, epoch, {"val/top1": 100 * values[LAMBDA]}, facts)
        self.note("end", values)

    def note(self, event: str, values: Mapping[str, Any]) -> None:
        line = {"pid": os.getpid(), "event": event, "values": dict(values)}
        with self.log.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def lines(self, event: str) -> list[dict[str, Any]]:
        if not self.log.is_file():
            return []
        found = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in found if line["event"] == event]


def age(storage: Any) -> None:
    """Set every beat back by an hour, as if its worker had died then."""
    storage = storage._backend if isinstance(storage, _CachedStorage) else storage
    if isinstance(storage, HeartbeatJournal):
        for beat in storage.folder.iterdir():
            os.utime(beat, (time.time() - 3600,) * 2)
        return
    with storage.engine.begin() as connection:
        long_ago = datetime(2026, 1, 1)  # noqa: DTZ001 - as optuna keeps it
        connection.execute(update(TrialHeartbeatModel).values(heartbeat=long_ago))


def one_worker(url: str, trials: int, log: Path, epoch_s: float) -> int:
    """What a worker's process does."""
    plan, storage = plan_of(trials), open_storage(url, ROOT, SHORT)
    study = load_study(plan.name, plan.base.recipe, storage)
    made = work(study, plan, Sleeper(log, epoch_s))
    close_storage(storage)
    return made


def kill_two_in_a_trial(attempt: Sleeper, alive: Callable[[], set[int]]) -> list[int]:
    """Kill -9 two workers, each while it makes a trial; returns their pids."""
    killed: list[int] = []
    deadline = time.monotonic() + 60
    while len(killed) < 2 and time.monotonic() < deadline:
        ended = {line["pid"]: len([e for e in attempt.lines("end") if e["pid"] == line["pid"]])
                 for line in attempt.lines("start")}  # fmt: skip
        starts = [line["pid"] for line in attempt.lines("start")]
        for pid in alive() - set(killed):
            if len(killed) < 2 and starts.count(pid) > ended.get(pid, 0):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        time.sleep(0.05)
    assert len(killed) == 2
    return killed


def assert_exact(trials: list[Any], budget: int, attempt: Sleeper, *, died: int) -> None:
    """Every slot ended exactly once, `died` trials were made again with their values, no more."""
    slots = by_slot(trials)
    assert sorted(slots) == list(range(budget))
    assert [sum(map(is_done, slots[slot])) for slot in range(budget)] == [1] * budget
    assert [trial.user_attrs["slot"] for trial in counted(trials)] == list(range(budget))
    assert sum(map(deaths, slots.values())) == died
    assert sum(trial.user_attrs["told"]["retries"] for trial in counted(trials)) == died
    assert len(attempt.lines("end")) == budget
    assert len(attempt.lines("start")) == budget + died
    for slot in slots.values():
        made = [trial for trial in slot if trial.params]
        assert all(trial.params == made[0].params for trial in made)


if __name__ == "__main__":
    one_worker(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))

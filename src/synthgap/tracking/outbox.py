"""Send waiting lines to MLflow; what could not be sent stays where it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from synthgap.tracking.dvc_digests import dvc_digests
from synthgap.tracking.machine import SystemMetrics, is_alive
from synthgap.tracking.runs import CONTENT, DIGEST, EPOCHS, RunOrigin, begin, epoch_points
from synthgap.tracking.spool import Event, Sent, Spool, spools
from synthgap.tracking.store import Point, Store, error_code, store_errors
from synthgap.tracking.sweeps import Sweep, begin_sweep, find_sweep, sweep_of
from synthgap.tracking.trials import is_shared, is_trial, points_of, trial_places, trial_tags

FRESH_S = 60.0
GONE, REFUSED = "RESOURCE_DOES_NOT_EXIST", ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


@dataclass
class Outbox:
    """Delivers spooled lines into one store; only the holder of the sender's lock has one."""

    store: Store
    _parents: dict[Sweep, str] = field(default_factory=dict)
    _machine: SystemMetrics = field(default_factory=SystemMetrics)

    def send(self) -> int:
        """Send every waiting line and return how many there were.

        Raises:
            TrackingError: the store cannot be reached; the lines stay.
        """
        with store_errors(self.store.uri):
            return sum(self._send(spool) for spool in spools(self.store.root))

    def watch(self) -> int:
        """Log system metrics of the runs that live here; close those whose process died.

        Returns the number of live runs.
        """
        with store_errors(self.store.uri):
            return sum(self._watch(spool) for spool in spools(self.store.root))

    def _send(self, spool: Spool) -> int:
        from mlflow.exceptions import MlflowException

        sent = spool.sent()
        if sent.uri != self.store.uri:
            sent = Sent(uri=self.store.uri)
        events, offset = spool.unread(sent.offset)
        if not events:
            return 0
        try:
            sent = replace(self._deliver(spool, sent, events), offset=offset)
        except MlflowException as error:
            return _give_way(spool, error)
        spool.record(sent)
        if sent.status in ("FINISHED", "FAILED") and not spool.has_news:
            spool.clear()
        return len(events)

    def _deliver(self, spool: Spool, sent: Sent, events: Sequence[Event]) -> Sent:
        points: list[Point] = []
        for event in events:
            if event["event"] == "start":
                sent = self._start(spool, sent, event)
            elif event["event"] == "epoch" and sent.run_id:
                step = int(event["metrics"]["epoch"])
                if step > sent.epoch:  # a resumed training repeats what it lost
                    points += epoch_points(event["metrics"], event["time"])
                    sent = replace(sent, epoch=step)
            elif event["event"] == "end" and sent.run_id:
                points = self._flush(sent, points)
                self._end(sent, event)
                sent = replace(sent, status=str(event["status"]))
        self._flush(sent, points)
        return sent

    def _start(self, spool: Spool, sent: Sent, event: Event) -> Sent:
        resumed = sent.run_id and sent.status in ("RUNNING", "KILLED")
        if not resumed and self._is_recorded(event["run"]):
            return replace(sent, run_id="", status="FINISHED")
        if resumed:
            self.store.client.update_run(sent.run_id, status="RUNNING")
            run_id, epoch = sent.run_id, sent.epoch
        else:
            run_id, epoch = self._begin(event), 0
        sent = replace(
            sent,
            run_id=run_id,
            epoch=epoch,
            pid=int(event["pid"]),
            host=str(event["host"]),
            started=float(event["time"]),
            status="RUNNING",
        )
        spool.record(sent)  # at once: a sender killed later in this batch then repeats no run
        if time.time() - sent.started < FRESH_S:  # even a run of a second has one sample
            self.store.write(run_id, self._sample(sent))
        return sent

    def _is_recorded(self, run: Event) -> bool:
        """Whether the trial is there from its study's record, sent by a machine that was faster."""
        if not is_shared(run):
            return False
        place = [self.store.experiment(str(run["recipe"]))]
        there = self.store.client.search_runs(place, f"tags.`{DIGEST}` = '{run['digest']}'")
        return any(CONTENT in old.data.tags for old in there)

    def _begin(self, event: Event) -> str:
        run, params = event["run"], event.get("params", {})
        origin = RunOrigin(
            inputs=event.get("inputs", {}),
            params=params,
            start=event["time"],
            commit=event.get("commit"),
            host=event.get("host"),
        )
        parent = self._parent(sweep_of(run, params), start=event["time"])
        known = dvc_digests(self.store.root)
        return begin(self.store, run, origin, parent=parent, known=known)

    def _parent(self, sweep: Sweep, *, start: float) -> str:
        if sweep not in self._parents:
            found = find_sweep(self.store, sweep)
            if found is None:
                begin_sweep(self.store, sweep, start=start)
                found = find_sweep(self.store, sweep)  # another machine may have begun it as well
            assert found is not None
            self._parents[sweep] = str(found.info.run_id)
        return self._parents[sweep]

    def _flush(self, sent: Sent, points: list[Point]) -> list[Point]:
        if points:
            self.store.write(sent.run_id, points)
        return []

    def _end(self, sent: Sent, event: Event) -> None:
        tags, when, run = {EPOCHS: str(sent.epoch)}, float(event["time"]), event.get("run")
        if run and is_trial(run):
            tags |= trial_tags(run)
            parent = self._parent(sweep_of(run, {}), start=when)
            self.store.write(parent, points_of(trial_places(run), when))
        self.store.write(sent.run_id, tags=tags)
        status = str(event["status"])
        self.store.client.set_terminated(sent.run_id, status, end_time=round(when * 1000))

    def _watch(self, spool: Spool) -> int:
        sent = spool.sent()
        if sent.status != "RUNNING" or sent.uri != self.store.uri:
            return 0
        if is_alive(sent.pid, host=sent.host, started=sent.started):
            self.store.write(sent.run_id, self._sample(sent))
            return 1
        if not spool.has_news and _is_here(sent):
            self.store.client.set_terminated(sent.run_id, "KILLED")
            spool.record(replace(sent, status="KILLED"))
        return 0

    def _sample(self, sent: Sent) -> list[Point]:
        now = time.time()
        values: dict[str, Any] = self._machine.sample()
        if is_alive(sent.pid, host=sent.host, started=sent.started):
            values |= self._machine.sample_process(sent.pid)
        step = round(now - sent.started)  # seconds of the run
        return [Point(name, value, step, now) for name, value in values.items()]


def _is_here(sent: Sent) -> bool:
    import socket

    return sent.host == socket.gethostname()


def _give_way(spool: Spool, error: Exception) -> int:
    """Begin anew where the store lost the run, set aside what it refuses, or raise again."""
    if error_code(error) == GONE:
        spool.record(Sent())
        return 0
    if error_code(error) in REFUSED:
        sys.stderr.write(f"{spool.lines.name}: refused by MLflow: {error}\n")
        spool.refuse()
        return 0
    raise error

"""Send spooled events and system metrics to MLflow; what could not be sent stays in the spool."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psutil

from synthgap.tracking.runs import (
    CONTENT_TAG,
    DIGEST_TAG,
    EPOCHS_TAG,
    RunOrigin,
    create_run,
    dvc_digests,
    epoch_points,
)
from synthgap.tracking.spool import Event, SendState, Spool, spools
from synthgap.tracking.store import MetricPoint, TrackingStore, error_code, store_errors
from synthgap.tracking.sweeps import Sweep, begin_sweep, find_sweep, sweep_of
from synthgap.tracking.trials import is_shared, is_trial, points_of, trial_chart, trial_tags

MEGABYTE = 1e6


@dataclass
class SystemMetrics:
    """Samples; CPU percentages cover the time since the previous sample."""

    _processes: dict[int, psutil.Process] = field(default_factory=dict)

    def sample(self) -> dict[str, float]:
        """CPU in percent of all cores, memory and disk of this machine."""
        memory, disk = psutil.virtual_memory(), psutil.disk_usage("/")
        return {
            "system/cpu_utilization_percentage": psutil.cpu_percent(interval=None),
            "system/system_memory_usage_megabytes": memory.used / MEGABYTE,
            "system/system_memory_usage_percentage": memory.percent,
            "system/disk_usage_percentage": disk.percent,
        }

    def sample_process(self, pid: int) -> dict[str, float]:
        """CPU in percent of one core, and memory, of one process; nothing once it is gone."""
        try:
            process = self._processes.setdefault(pid, psutil.Process(pid))
            return {
                "system/process_cpu_percentage": process.cpu_percent(interval=None),
                "system/process_memory_megabytes": process.memory_info().rss / MEGABYTE,
            }
        except psutil.Error:
            self._processes.pop(pid, None)
            return {}


def is_alive(pid: int, *, host: str, started: float) -> bool:
    """Whether the process that was `pid` on `host` at `started` (seconds since 1970) still runs."""
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(pid)
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return bool(not zombie and process.create_time() <= started + 1)
    except psutil.Error:
        return False


FIRST_SAMPLE_S = 60.0
GONE_CODE, REFUSED_CODES = "RESOURCE_DOES_NOT_EXIST", ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


@dataclass
class Outbox:
    """Delivers spooled lines into one store; only the holder of the sender's lock has one."""

    store: TrackingStore
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
            sent = SendState(uri=self.store.uri)
        events, offset = spool.unread(sent.offset)
        if not events:
            return 0
        try:
            sent = replace(self._deliver(spool, sent, events), offset=offset)
        except MlflowException as error:
            return _handle_refusal(spool, error)
        spool.record(sent)
        if sent.status in ("FINISHED", "FAILED") and not spool.has_news:
            spool.clear()
        return len(events)

    def _deliver(self, spool: Spool, sent: SendState, events: Sequence[Event]) -> SendState:
        points: list[MetricPoint] = []
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

    def _start(self, spool: Spool, sent: SendState, event: Event) -> SendState:
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
        if time.time() - sent.started < FIRST_SAMPLE_S:  # even a run of a second has one sample
            self.store.write(run_id, self._sample(sent))
        return sent

    def _is_recorded(self, run: Event) -> bool:
        """Whether the trial is there from its study's record, sent by a machine that was faster."""
        if not is_shared(run):
            return False
        place = [self.store.experiment(str(run["recipe"]))]
        there = self.store.client.search_runs(place, f"tags.`{DIGEST_TAG}` = '{run['digest']}'")
        return any(CONTENT_TAG in old.data.tags for old in there)

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
        digests = dvc_digests(self.store.root)
        return create_run(self.store, run, origin, parent=parent, digests=digests)

    def _parent(self, sweep: Sweep, *, start: float) -> str:
        if sweep not in self._parents:
            found = find_sweep(self.store, sweep)
            if found is None:
                begin_sweep(self.store, sweep, start=start)
                found = find_sweep(self.store, sweep)  # another machine may have begun it as well
            assert found is not None
            self._parents[sweep] = str(found.info.run_id)
        return self._parents[sweep]

    def _flush(self, sent: SendState, points: list[MetricPoint]) -> list[MetricPoint]:
        if points:
            self.store.write(sent.run_id, points)
        return []

    def _end(self, sent: SendState, event: Event) -> None:
        tags, when, run = {EPOCHS_TAG: str(sent.epoch)}, float(event["time"]), event.get("run")
        if run and is_trial(run):
            tags |= trial_tags(run)
            parent = self._parent(sweep_of(run, {}), start=when)
            self.store.write(parent, points_of(trial_chart(run), when))
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
        if not spool.has_news and _is_this_host(sent):
            self.store.client.set_terminated(sent.run_id, "KILLED")
            spool.record(replace(sent, status="KILLED"))
        return 0

    def _sample(self, sent: SendState) -> list[MetricPoint]:
        now = time.time()
        values: dict[str, Any] = self._machine.sample()
        if is_alive(sent.pid, host=sent.host, started=sent.started):
            values |= self._machine.sample_process(sent.pid)
        step = round(now - sent.started)  # seconds of the run
        return [MetricPoint(name, value, step, now) for name, value in values.items()]


def _is_this_host(sent: SendState) -> bool:
    import socket

    return sent.host == socket.gethostname()


def _handle_refusal(spool: Spool, error: Exception) -> int:
    """Begin anew where the store lost the run, set aside what it refuses, or raise again."""
    if error_code(error) == GONE_CODE:
        spool.record(SendState())
        return 0
    if error_code(error) in REFUSED_CODES:
        sys.stderr.write(f"{spool.lines.name}: refused by MLflow: {error}\n")
        spool.refuse()
        return 0
    raise error

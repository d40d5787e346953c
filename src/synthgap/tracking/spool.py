"""Lines that wait for MLflow: one file a run; trainings append, one sender a checkout reads."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any

from synthgap.jobs import Artifacts, read_json, write_json

Event = Mapping[str, Any]
YIELD_REQUEST_S = 10.0


@dataclass(frozen=True)
class SendState:
    """How much of a run a store has; kept beside the lines, since a sender may be killed."""

    uri: str = ""
    run_id: str = ""
    offset: int = 0
    epoch: int = 0
    pid: int = 0
    host: str = ""
    started: float = 0.0  # seconds since 1970 of the latest start, to recognise a reused pid
    status: str = ""  # "", RUNNING, KILLED, FINISHED or FAILED


@dataclass(frozen=True)
class Spool:
    """The lines of one run, `.synthgap/live/<run digest>.jsonl`."""

    lines: Path

    @property
    def digest(self) -> str:
        """The run these lines tell of."""
        return self.lines.stem

    def append(self, event: Event) -> None:
        """Add one line in a single write, so that processes that share a run do not mix letters."""
        line = json.dumps(dict(event), default=_json_value) + "\n"
        self.lines.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.lines, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def unread(self, offset: int) -> tuple[list[Event], int]:
        """Whole lines from `offset` on, and the offset behind them; torn lines are passed over."""
        try:
            with self.lines.open("rb") as stream:
                stream.seek(offset)
                content = stream.read()
        except FileNotFoundError:
            return [], offset
        whole = content[: content.rfind(b"\n") + 1]
        return [
            event for line in whole.splitlines() if (event := _parse_event(line))
        ], offset + len(whole)

    @property
    def has_news(self) -> bool:
        """Whether a line has not been sent yet."""
        with suppress(FileNotFoundError):
            return self.lines.stat().st_size > self.sent().offset
        return False

    def sent(self) -> SendState:
        """What has been sent so far."""
        try:
            content = read_json(self._sent_path)
        except (FileNotFoundError, json.JSONDecodeError):
            return SendState()
        names = {field.name for field in fields(SendState)}
        return SendState(**{name: value for name, value in content.items() if name in names})

    def record(self, sent: SendState) -> None:
        """Remember what has been sent."""
        write_json(self._sent_path, asdict(sent))

    def clear(self) -> None:
        """Forget the run: everything was sent, or the store has it from run.json."""
        self.lines.unlink(missing_ok=True)
        self._sent_path.unlink(missing_ok=True)

    def refuse(self) -> None:
        """Set the lines aside: the store will never take them, and run.json has the run."""
        self.lines.replace(self.lines.with_suffix(".refused"))
        self._sent_path.unlink(missing_ok=True)

    @property
    def _sent_path(self) -> Path:
        return self.lines.with_suffix(".sent")


def spool_of(root: Path, run_digest: str) -> Spool:
    """The spool of one run."""
    return Spool(live_folder(root) / f"{run_digest}.jsonl")


def spools(root: Path) -> list[Spool]:
    """Every run that has lines, oldest name first."""
    return [Spool(path) for path in sorted(live_folder(root).glob("*.jsonl"))]


def live_folder(root: Path) -> Path:
    """Where the lines wait."""
    return Artifacts(root, "").live


def times_path(root: Path, run_digest: str) -> Path:
    """When a run's epochs happened, and where: outside DVC outputs, since it differs by run."""
    return Artifacts(root, "").times / "epochs" / f"{run_digest}.json"


@contextmanager
def sender_lock(root: Path, *, wait_s: float, hurry: bool = False) -> Iterator[bool]:
    """Be the one process that sends; yields False when another still is after `wait_s`.

    With `hurry` that other one is asked to leave at once instead of after its idle time.
    """
    live = live_folder(root)
    live.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_s
    with (live / "sender.lock").open("a+") as lock:
        held = _try_lock(lock)
        while not held and time.monotonic() < deadline:
            if hurry:
                (live / "hurry").touch()
            time.sleep(0.05)
            held = _try_lock(lock)
        if held and hurry:
            (live / "hurry").unlink(missing_ok=True)
        try:
            yield held
        finally:
            if held:
                fcntl.flock(lock, fcntl.LOCK_UN)


def yield_requested(root: Path) -> bool:
    """Whether another process waits for this one to stop sending (and has not died waiting)."""
    with suppress(FileNotFoundError):
        return time.time() - (live_folder(root) / "hurry").stat().st_mtime < YIELD_REQUEST_S
    return False


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parse_event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:  # a line torn by a full disk; the next mirror has the run whole
        return None
    return event if isinstance(event, dict) else None


def _json_value(value: object) -> object:
    """What json cannot say by itself: numpy and torch scalars as numbers, anything else by name."""
    try:
        return float(value)  # type: ignore[arg-type] # tried, not known
    except (TypeError, ValueError):
        return str(value)

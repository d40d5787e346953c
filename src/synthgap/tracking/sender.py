"""The background process that sends spooled events to MLflow, and the sending of one study."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from synthgap.errors import TrackingError
from synthgap.tracking.cells import read_cell
from synthgap.tracking.mirror import mirror_runs
from synthgap.tracking.outbox import Outbox
from synthgap.tracking.spool import sender_lock, spools, yield_requested
from synthgap.tracking.store import TrackingStore, default_uri, open_store

IDLE_S, POLL_S, WATCH_S = 20.0, 1.0, 5.0
MAX_BACKOFF_S = 60.0
NICENESS = 10


@dataclass
class Connection:
    """The connection, made when there is something to send and again after it broke."""

    root: Path
    outbox: Outbox | None = None
    live: int = 0
    broken: bool = False  # SQLAlchemy keeps a deleted database open: only a new process helps
    _quiet_until: float = 0.0
    _backoff_s: float = field(default=1.0)
    _watched: float = 0.0

    def round(self) -> int:
        """Send and watch once; a store that cannot be reached is left alone for a while."""
        if time.monotonic() < self._quiet_until:
            return 0
        try:
            sent = self._send()
        except TrackingError as error:
            sys.stderr.write(f"{error} (trying again in {self._backoff_s:g} s)\n")
            self.broken = default_uri(self.root).startswith("sqlite")
            self.outbox = None
            self._quiet_until = time.monotonic() + self._backoff_s
            self._backoff_s = min(self._backoff_s * 2, MAX_BACKOFF_S)
            return 0
        self._backoff_s = 1.0
        return sent

    def _send(self) -> int:
        if self.outbox is None:
            if not any(spool.has_news for spool in spools(self.root)):
                return 0
            self.outbox = Outbox(open_store(self.root))
        sent = self.outbox.send()
        if time.monotonic() - self._watched > WATCH_S:
            self._watched = time.monotonic()
            self.live = self.outbox.watch()
        return sent


def serve(root: Path, *, idle_s: float = IDLE_S, poll_s: float = POLL_S) -> int:
    """Send until nothing happened for `idle_s` seconds and no run lives; return lines sent.

    Returns 0 at once when another process of this checkout is sending.
    """
    total = 0
    while True:
        with sender_lock(root, wait_s=1.0) as held:
            if not held:
                return total
            post = Connection(root)
            total += _serve(post, idle_s=idle_s, poll_s=poll_s)
            size = _spooled_bytes(root)
        # A line written between the last check and the unlock found the lock taken.
        if post.broken or yield_requested(root) or _spooled_bytes(root) == size:
            return total


def _serve(post: Connection, *, idle_s: float, poll_s: float) -> int:
    root, total = post.root, 0
    size, last = _spooled_bytes(root), time.monotonic()
    while time.monotonic() - last < idle_s and not (post.broken or yield_requested(root)):
        sent = post.round()
        total += sent
        now_there = _spooled_bytes(root)
        if sent or post.live or now_there != size:
            size, last = now_there, time.monotonic()
        time.sleep(poll_s)
    if post.outbox is not None and not yield_requested(root):
        _mirror_finished(post.outbox.store)
    return total


def _mirror_finished(store: TrackingStore) -> None:
    """Add what only run.json says, so that a plain `dvc repro` needs no `synthgap mirror`."""
    try:
        mirror_runs(store)
    except TrackingError as error:
        sys.stderr.write(f"{error}\n")


def _spooled_bytes(root: Path) -> int:
    return sum(spool.lines.stat().st_size for spool in spools(root) if spool.lines.is_file())


def main() -> None:
    """Serve the checkout named on the command line."""
    os.nice(NICENESS)
    root = Path(sys.argv[1])
    os.chdir(root)  # what a relative MLFLOW_TRACKING_URI means
    serve(root)


if __name__ == "__main__":
    main()


STUDY_WAIT_S = 60.0


def log_study(root: Path, folder: Path) -> str | None:
    """Make MLflow say what the study's folder says: trials, charts, run.json, page and figures.

    Nothing is doubled, however often this runs. Where MLflow cannot be reached now, the line that
    says why is returned, and `synthgap mirror` sends what it missed.
    """
    root = root.resolve()
    try:
        with sender_lock(root, wait_s=STUDY_WAIT_S, hurry=True) as held:
            if not held:
                return (
                    f"{root / '.synthgap/live/sender.lock'}: another process still sends after "
                    f"{STUDY_WAIT_S:g} s; `synthgap mirror` adds the study to MLflow later"
                )
            store = open_store(root)
            Outbox(store).send()
            mirror_runs(store, [read_cell(folder.resolve() / "run.json")])
    except TrackingError as error:
        return str(error)
    return None

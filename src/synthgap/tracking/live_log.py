"""Append a run's events to its spool and start the background sender; never wait for MLflow."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from synthgap.jobs import Log, write_json
from synthgap.tracking.spool import Event, live_folder, sender_lock, spool_of, times_path

TRACKING_VARIABLE = "SYNTHGAP_TRACKING"  # "off": lines are kept, but no sender is started
START_GRACE_S = 10.0
START_COMMAND = '"$0" -m synthgap.tracking.sender "$1" </dev/null >>"$2" 2>&1 &'


def open_log(root: Path) -> Log:
    """Return a log that appends to `.synthgap/live/` and keeps one background sender running.

    It may be called in forked processes; it never raises and never waits for the network.
    """
    root = root.resolve()

    def log(run_digest: str, event: Mapping[str, Any]) -> None:
        try:
            _append_event(root, run_digest, event)
            ensure_sender(root)
        except Exception as error:  # noqa: BLE001 - a lost log line must never cost a training
            _warn_once(root, f"{type(error).__name__}: {error}")

    return log


def ensure_sender(root: Path) -> None:
    """Start the sender unless one runs, or is just starting."""
    if os.environ.get(TRACKING_VARIABLE) == "off":
        return
    with sender_lock(root, wait_s=0) as free:
        if not free or _just_started(root):
            return
        (live_folder(root) / "starting").touch()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    # The shell leaves at once, so the sender belongs to init: no zombie, and a killed stage or
    # process group does not take it along.
    subprocess.run(  # noqa: S603 - our own interpreter, no user text in the command
        [
            "/bin/sh",
            "-c",
            START_COMMAND,
            sys.executable,
            str(root),
            str(live_folder(root) / "sender.log"),
        ],
        env=environment,
        start_new_session=True,
        check=True,
    )


def _just_started(root: Path) -> bool:
    try:
        return time.time() - (live_folder(root) / "starting").stat().st_mtime < START_GRACE_S
    except FileNotFoundError:
        return False


def _append_event(root: Path, run_digest: str, event: Event) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    stamped: dict[str, Any] = {
        "time": time.time(),
        "pid": os.getpid(),
        "cpu_s": usage.ru_utime + usage.ru_stime,
        **event,
    }
    if event["event"] == "start":
        stamped |= {"host": socket.gethostname(), "commit": git_commit(root)}
    spool = spool_of(root, run_digest)
    if event["event"] == "end":  # before the line, since the sender clears the spool behind it
        earlier, _ = spool.unread(0)
        write_json(times_path(root, run_digest), times_of([*earlier, stamped]))
    spool.append(stamped)


def times_of(events: list[Event]) -> dict[str, Any]:
    """Wall times of one run from its lines: seconds since 1970, the epochs' by number.

    A run that was killed and resumed has several starts; the first counts, and `resumed` says how
    many followed.
    """
    starts = [event for event in events if event["event"] == "start"]
    epochs = [event for event in events if event["event"] == "epoch"]
    about = starts[-1] if starts else {}
    return {
        "name": about.get("run", {}).get("name"),
        "status": events[-1].get("status"),
        "start": starts[0]["time"] if starts else events[0]["time"],
        "end": events[-1]["time"],
        "resumed": max(len(starts) - 1, 0),
        "host": about.get("host"),
        "commit": about.get("commit"),
        "epochs": {str(event["metrics"].get("epoch")): event["time"] for event in epochs},
    }


@cache
def git_commit(root: Path) -> str | None:
    """The checkout's commit, with `-dirty` where tracked files differ; None outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command
            command, cwd=root, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


@cache
def _warn_once(root: Path, problem: str) -> None:
    """Say once per process and problem that a line was lost."""
    sys.stderr.write(
        f"tracking: a log line could not be kept in {live_folder(root)} ({problem}); "
        "`synthgap mirror` will add the run from run.json\n"
    )

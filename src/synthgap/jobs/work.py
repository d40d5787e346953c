"""Work in progress: a folder named by the digest of what defines it, held by one process.

It lies outside DVC outputs, because DVC deletes a stage's outputs before it runs the stage. The
lock is the kernel's (flock), so it ends with its holder, however that dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from synthgap.errors import WorkError
from synthgap.jobs.code import code_digest
from synthgap.jobs.writing import content_digest, publish, write_json

DONE = "work.json"
LOCK_TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class Work:
    """A held work folder; `identity` says what it is for, `digest` (with the code) is its name.

    The output's stamp is of `identity` alone: code that makes the same bytes leaves the same stamp.
    """

    folder: Path
    output: Path
    digest: str
    identity: Mapping[str, Any]

    @classmethod
    def of(cls, root: Path, identity: Mapping[str, Any], output: Path, stage: str | None) -> Work:
        """The work on `identity` by the code that `stage` depends on now, held or not."""
        digest = work_digest(identity, stage)
        return cls(folder=root / digest, output=output, digest=digest, identity=identity)

    @property
    def finished(self) -> bool:
        """Whether the output already holds exactly this work.

        True after another process finished it while this one waited for the lock. DVC deletes
        outputs before it starts a stage, so nothing older can be there.
        """
        stamp = self.output / DONE
        same = stamp.is_file() and json.loads(stamp.read_text()) == self._stamp
        return same and self._done.is_file()

    def publish(self, finished: Path | None = None) -> None:
        """Stamp the folder, or the `finished` part of it, and rename it into the output."""
        finished = finished or self.folder
        write_json(finished / DONE, self._stamp)
        publish(finished, self.output)
        self._done.touch()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _stamp(self) -> dict[str, str]:
        return {"digest": content_digest(self.identity)}

    @property
    def _done(self) -> Path:
        return self.folder.with_name(f"{self.digest}.done")


def work_digest(identity: Mapping[str, Any], stage: str | None) -> str:
    """Hex sha256 of what is made and of the code that makes it (None: whatever the code)."""
    return content_digest({**identity, "code": code_digest(stage) if stage else None})


@contextmanager
def hold(
    root: Path,
    identity: Mapping[str, Any],
    output: Path,
    *,
    stage: str | None,
    timeout_s: float | None = None,
) -> Iterator[Work]:
    """Hold the work folder for `identity`, waiting up to `timeout_s` for another holder.

    What is found in the folder was begun with the code that `stage` depends on now (`code_digest`);
    None where no code is to be told apart. `timeout_s` is `LOCK_TIMEOUT_S` where it is not given.

    Raises:
        WorkError: another process still holds it after `timeout_s`; the line names its pid.
    """
    work = Work.of(root, identity, output, stage)
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{work.digest}.lock").open("a+") as lock:
        _acquire(lock, output, timeout_s=LOCK_TIMEOUT_S if timeout_s is None else timeout_s)
        try:
            work.folder.mkdir(exist_ok=True)
            yield work
        finally:
            if work.folder.is_dir() and not any(work.folder.iterdir()):
                work.folder.rmdir()
            fcntl.flock(lock, fcntl.LOCK_UN)


def discard(work: Work) -> None:
    """Throw the work folder's content away and start with an empty one."""
    shutil.rmtree(work.folder, ignore_errors=True)
    work.folder.mkdir(parents=True)


def _acquire(lock: IO[str], output: Path, *, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    announced = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            holder = _holder(lock)
            if time.monotonic() >= deadline:
                raise WorkError(
                    f"{output}: process {holder} is already making it; expected it to finish "
                    f"within {timeout_s:g} s; wait for it or `kill {holder}`, then rerun"
                ) from None
            if not announced:
                sys.stderr.write(f"waiting for process {holder}, already making {output}\n")
                announced = True
            time.sleep(0.2)
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()


def _holder(lock: IO[str]) -> str:
    lock.seek(0)
    return lock.read().strip() or "unknown"

"""Storages whose running trials beat, so that a trial whose worker died is noticed.

Optuna's database storage has this but for two gaps: a trial that never beat is never noticed, and
SQLite lets two workers take one trial. Its journal has no heartbeat at all.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from optuna import Study
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages._rdb.models import TrialHeartbeatModel, TrialModel
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event, select, text
from sqlalchemy.exc import SQLAlchemyError

StaleCallback = Callable[[Study, FrozenTrial], None]


@dataclass(frozen=True)
class Heartbeat:
    """A running trial beats every `interval_s`; silent for `grace_s`, its worker is dead."""

    interval_s: int = 15
    grace_s: int = 90  # well above what a network disk or a swapping machine may hold a beat back


class HeartbeatDatabase(RDBStorage):
    """SQLite or PostgreSQL. All beats are timed by the database's own clock."""

    def __init__(self, url: str, beats: Heartbeat, engine_kwargs: dict[str, Any]) -> None:
        with warnings.catch_warnings():  # heartbeats are what Optuna calls experimental: see tests
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(
                url,
                engine_kwargs,
                heartbeat_interval=beats.interval_s,
                grace_period=beats.grace_s,
            )
        event.listen(self.engine, "connect", PREPARE[self.engine.dialect.name])
        self.engine.dispose()  # those connections that made the tables

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Change a trial's state; of several workers that try at once, one succeeds.

        Optuna reads the state and then writes it, with SELECT FOR UPDATE, which SQLite ignores.
        """
        if self.engine.dialect.name == "sqlite":
            session = self.scoped_session()  # this thread's; the parent's method goes on with it
            try:
                session.execute(text("BEGIN IMMEDIATE"))
            except SQLAlchemyError as error:
                session.close()
                raise StorageInternalError("the database stays locked") from error
        return super().set_trial_state_values(trial_id, state, values)

    def record_heartbeat(self, trial_id: int) -> None:
        """Beat; where the database is away for a moment the next beat will do."""
        with suppress(StorageInternalError):
            super().record_heartbeat(trial_id)

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        """Running trials whose last beat is too long ago.

        A worker may die before its trial's first beat: then whoever checks gives that one, and the
        time runs from there.
        """
        beats = TrialHeartbeatModel.trial_id
        never = (
            select(TrialModel.trial_id)
            .outerjoin(TrialHeartbeatModel, beats == TrialModel.trial_id)
            .where(TrialModel.study_id == study_id, TrialModel.state == TrialState.RUNNING)
            .where(beats.is_(None))
        )
        with self.engine.connect() as connection:
            silent = connection.scalars(never).all()
        for trial_id in silent:
            self.record_heartbeat(trial_id)
        return super()._get_stale_trial_ids(study_id)


def _in_utc(connection: Any, _: object) -> None:  # noqa: ANN401 - of the driver
    """Read the clock in one time zone in every connection: beats are kept without theirs."""
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def _with_a_log(connection: Any, _: object) -> None:  # noqa: ANN401 - of the driver
    """Write ahead into a log: readers and the writer do not wait for each other, nor for the disk.

    A power cut may undo the last moments; their trials are then made again.
    """
    connection.execute("PRAGMA journal_mode=WAL").close()
    connection.execute("PRAGMA synchronous=NORMAL").close()


PREPARE = {"postgresql": _in_utc, "sqlite": _with_a_log}


class HeartbeatJournal(JournalStorage, BaseHeartbeat):
    """A journal file on a disk that all workers share; beats are times of files beside it.

    Only that disk's clock counts: a worker touches its trial's file, who checks touches a file too
    and compares the two, so that the machines' own clocks may differ.
    """

    def __init__(self, path: Path, beats: Heartbeat) -> None:
        self.trial_rungs = beats
        self.folder = path.with_name(f"{path.name}.beats")
        self.folder.mkdir(exist_ok=True)
        super().__init__(JournalFileBackend(str(path), MendingLock(str(path))))

    def record_heartbeat(self, trial_id: int) -> None:
        """Beat; where the disk is away for a moment the next beat will do."""
        with suppress(OSError):
            (self.folder / str(trial_id)).touch()

    def get_heartbeat_interval(self) -> int:
        """Seconds between beats."""
        return self.trial_rungs.interval_s

    def silences(self, trial_ids: Sequence[int]) -> dict[int, float]:
        """Seconds since each trial's last beat, by the disk's clock; none of one without beats."""
        now = self._now()
        last_beats = {trial_id: _time_of(self.folder / str(trial_id)) for trial_id in trial_ids}
        return {trial_id: now - time for trial_id, time in last_beats.items() if time is not None}

    def get_heartbeat_stale_trial_callback(self) -> StaleCallback | None:
        """None: reclaiming is the ledger's."""
        return None

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Change a trial's state; one that has ended beats no more."""
        changed = super().set_trial_state_values(trial_id, state, values)
        if state.is_finished():
            (self.folder / str(trial_id)).unlink(missing_ok=True)
        return changed

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        """Running trials whose last beat is too long ago; one that never beat begins to now."""
        running = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        if not running:
            return []
        now = self._now()
        stale = []
        for trial in running:
            beat = self.folder / str(trial._trial_id)
            last_beat = _time_of(beat)
            if last_beat is None:
                self.record_heartbeat(trial._trial_id)
            elif now - last_beat > self.trial_rungs.grace_s:
                stale.append(trial._trial_id)
        return stale

    def _now(self) -> float:
        with NamedTemporaryFile(dir=self.folder, prefix="now-") as file:
            os.utime(file.name)
            return os.fstat(file.fileno()).st_mtime


class MendingLock(JournalFileSymlinkLock):
    """The lock of who appends to the journal; it first cuts off a line that a killed writer began.

    Linux may end a killed process's write between two pages of memory. The next line would be
    appended to that half, and the journal could no longer be read.
    """

    def acquire(self) -> bool:
        """Wait for the lock and mend the file's end."""
        acquired = super().acquire()
        try:
            _cut_half_line(Path(self._lock_target_file))
        except BaseException:
            self.release()
            raise
        return acquired


def _cut_half_line(path: Path) -> None:
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        if file.read(1) in (b"", b"\n"):
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def _time_of(path: Path) -> float | None:
    """A file's time; opened, since a network disk may report a cached time otherwise."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None

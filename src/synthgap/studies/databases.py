"""Open, and make where it is not there, each kind of storage that studies are kept in."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgap.errors import WorkError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from synthgap.studies.heartbeat import Heartbeat, HeartbeatDatabase, HeartbeatJournal

SQLITE, JOURNAL, POSTGRESQL = "sqlite:///", "journal://", "postgresql+psycopg://"
EXPECTED = (
    "expected sqlite:///FILE (one machine), journal:///FILE (a disk that machines share) or "
    f"{POSTGRESQL}USER:PASSWORD@HOST/DATABASE"
)
SCHEMA_LOCK = 0x73796E7468676170  # "synthgap": the advisory lock of who makes the tables
LOCKED_S = 60  # how long a worker waits for another's write to SQLite
CONNECT_S = 10


@dataclass(frozen=True)
class StoragePlace:
    """The url of a storage, with its password, and how long its trials may be silent."""

    url: str
    beats: Heartbeat

    def open(self) -> HeartbeatDatabase | HeartbeatJournal:
        """Open the storage.

        Raises:
            WorkError: no such kind of storage, it cannot be reached, or it holds something else.
        """
        if self.url.startswith(JOURNAL) and Path(self.url.removeprefix(JOURNAL)).is_absolute():
            return self._journal(Path(self.url.removeprefix(JOURNAL)))
        if self.url.startswith(SQLITE) and self.url.removeprefix(SQLITE) not in ("", ":memory:"):
            return self._sqlite(Path(self.url.removeprefix(SQLITE)))
        if self.url.startswith(POSTGRESQL):
            return self._postgresql()
        raise WorkError(f"{self.masked_url}: no storage of studies; {EXPECTED}")

    @property
    def masked_url(self) -> str:
        """The url without its password."""
        masked = re.sub(r"^([^:/]+://[^:/@]*):.*@", r"\1:***@", self.url)
        return re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1***", masked)

    def _journal(self, path: Path) -> HeartbeatJournal:
        from synthgap.studies.heartbeat import HeartbeatJournal

        if not path.parent.is_dir():  # not made here: it may be a disk that is not mounted
            raise WorkError(f"{self.url}: no folder {path.parent}; mount its disk, or make it")
        try:
            return HeartbeatJournal(path, self.beats)
        except OSError as error:
            raise WorkError(f"{self.url}: {error.strerror}; expected a file to write to") from None
        except (ValueError, KeyError, TypeError):
            raise WorkError(f"{self.url}: no journal of Optuna's; name another file") from None

    def _sqlite(self, path: Path) -> HeartbeatDatabase:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.with_name(f"{path.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel's: it ends with its process
                return self._database({"timeout": LOCKED_S})
        except OSError as error:
            raise WorkError(f"{self.url}: {error.strerror}; expected a file to write to") from None

    def _postgresql(self) -> HeartbeatDatabase:
        connect = {"connect_timeout": CONNECT_S}
        with _tables_lock(self._connected(connect)):
            return self._database(connect)

    def _database(self, connect: dict[str, Any]) -> HeartbeatDatabase:
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        from synthgap.studies.heartbeat import HeartbeatDatabase

        engine = {"connect_args": connect, "pool_pre_ping": True}
        try:
            return HeartbeatDatabase(self.url, self.beats, engine)
        except (SQLAlchemyError, StorageInternalError) as error:
            raise self._refused(error) from None
        except RuntimeError as error:  # the tables are of another version of Optuna
            raise WorkError(f"{self.masked_url}: {error}") from None

    def _connected(self, connect: dict[str, Any]) -> Connection:
        from sqlalchemy import NullPool, create_engine
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return create_engine(self.url, connect_args=connect, poolclass=NullPool).connect()
        except ImportError:
            raise WorkError(
                f"{self.masked_url}: psycopg is not installed; "
                "run `pip install -r requirements-server.lock`"
            ) from None
        except (SQLAlchemyError, ValueError) as error:
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> WorkError:
        """The database's message, in one line and without the password."""
        cause = error.__cause__ or error
        lines = str(getattr(cause, "orig", None) or cause).strip().splitlines()
        message = lines[0].strip() if lines else type(cause).__name__
        password = re.match(r"^[^:/]+://[^:/@]*:(.*)@", self.url)
        if password and password[1]:
            message = message.replace(password[1], "***")
        return WorkError(f"{self.masked_url}: {message}; {EXPECTED}, and its server running")


@contextmanager
def _tables_lock(connection: Connection) -> Iterator[None]:
    """Let one process at a time make the tables: of two at once one would crash."""
    from sqlalchemy import func, select

    with connection:  # closing it gives the lock back, and so does the death of this process
        connection.execute(select(func.pg_advisory_lock(SCHEMA_LOCK)))
        yield

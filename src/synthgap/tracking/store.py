"""The MLflow store: opened once a process, created by one process at a time."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from synthgap.errors import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

CONNECT_TIMEOUT_S = 3.0
PER_BATCH = 100  # params and tags; metrics may be ten times as many
MAX_VALUE_LENGTH = 6000
KIND_TAG = {"mlflow.experimentKind": "custom_model_development"}  # the page opens on the runs
NOTE_TAG = "mlflow.note.content"
# Set before the import; a person's own setting wins.
MLFLOW_VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class MetricPoint:
    """One value of a metric; `time` in seconds since 1970."""

    name: str
    value: float
    step: int
    time: float


@dataclass(frozen=True)
class TrackingStore:
    """An open MLflow store of one checkout."""

    root: Path
    uri: str
    client: MlflowClient
    _experiments: dict[str, str] = field(default_factory=dict)

    def experiment(self, recipe: str) -> str:
        """Id of the experiment `synthgap/<recipe>`, made or undeleted when needed."""
        if recipe not in self._experiments:
            with exclusive_lock(self.root):
                self._experiments[recipe] = self._made(f"synthgap/{recipe}")
        return self._experiments[recipe]

    def experiments(self) -> list[str]:
        """Ids of every experiment of ours."""
        found = self.client.search_experiments(filter_string="name LIKE 'synthgap/%'")
        return [experiment.experiment_id for experiment in found]

    def write(
        self,
        run_id: str,
        points: Sequence[MetricPoint] = (),
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log in as few requests as MLflow's limits allow; overlong texts are cut."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(p.name, p.value, round(p.time * 1000), p.step) for p in points]
        entries = [Param(key, text[:MAX_VALUE_LENGTH]) for key, text in (params or {}).items()]
        notes = [RunTag(key, text[:MAX_VALUE_LENGTH]) for key, text in (tags or {}).items()]
        for start in range(0, len(metrics), PER_BATCH * 8):
            self.client.log_batch(run_id, metrics=metrics[start : start + PER_BATCH * 8])
        for start in range(0, max(len(entries), len(notes)), PER_BATCH):
            part = slice(start, start + PER_BATCH)
            self.client.log_batch(run_id, params=entries[part], tags=notes[part])

    def _made(self, name: str) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            if experiment.lifecycle_stage == "deleted":
                self.client.restore_experiment(experiment.experiment_id)
            return str(experiment.experiment_id)
        return self.client.create_experiment(
            name, artifact_location=artifact_location(self.uri), tags=KIND_TAG
        )


def default_uri(root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, or the checkout's own `mlruns/mlflow.db`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root.resolve()}/mlruns/mlflow.db"


def artifact_location(uri: str) -> str | None:
    """The artifact folder beside an sqlite database; a server decides for itself (None).

    Without it MLflow would take the current directory of whoever comes first.
    """
    path = _database(uri)
    return None if path is None else (path.parent / "artifacts").resolve().as_uri()


def open_store(root: Path, *, create: bool = True) -> TrackingStore:
    """Connect to the store of the checkout at `root`, making a local database if there is none.

    Raises:
        TrackingError: it cannot be reached, or there is none and `create` is false.
    """
    uri = default_uri(root)
    database = _database(uri)
    if database is not None and not database.is_file():
        if not create:
            raise TrackingError(
                f"{database}: no MLflow store there; run `synthgap mirror` to make it from the "
                "outputs, or set MLFLOW_TRACKING_URI"
            )
        database.parent.mkdir(parents=True, exist_ok=True)
    _check_server(uri)
    with store_errors(uri), exclusive_lock(root):
        client = _client(uri)
        client.search_experiments(max_results=1)  # makes the tables, 6.8 s
    return TrackingStore(root=root, uri=uri, client=client)


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turn what MLflow and its transports raise into one line about the store at `uri`."""
    _set_variables()
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with _tracking_uri(uri):
            yield
    except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise TrackingError(f"{masked_uri(uri)}: {first}; {_next_step(uri)}") from error


@contextmanager
def _tracking_uri(uri: str) -> Iterator[None]:
    """Let MLflow's own look-ups of `models:/` addresses end up in the same store."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = uri
    try:
        yield
    finally:
        if before is None:
            del os.environ["MLFLOW_TRACKING_URI"]
        else:
            os.environ["MLFLOW_TRACKING_URI"] = before


@contextmanager
def exclusive_lock(root: Path, what: str = "store") -> Iterator[None]:
    """Let one process at a time make tables and experiments, or publish: MLflow's steps race."""
    folder = root / ".synthgap"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{what}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)


def masked_uri(uri: str) -> str:
    """The address without a password."""
    return re.sub(r"//[^/@]*@", "//", uri)


def _client(uri: str) -> MlflowClient:
    _set_variables()
    from mlflow import MlflowClient

    for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def _set_variables() -> None:
    for name, value in MLFLOW_VARIABLES.items():
        os.environ.setdefault(name, value)


def _check_server(uri: str) -> None:
    """Find a dead server in seconds: MLflow's own retries take minutes."""
    address = urlsplit(uri)
    if address.scheme not in ("http", "https") or address.hostname is None:
        return
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname, port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise TrackingError(f"{masked_uri(uri)}: {reason}; {_next_step(uri)}") from error


def _next_step(uri: str) -> str:
    if _database(uri) is not None:
        return "move the database away and run `synthgap mirror` to make it anew from the outputs"
    return (
        "start the MLflow server or unset MLFLOW_TRACKING_URI, then run `synthgap mirror`; "
        "nothing is lost"
    )


def _database(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def error_code(error: Exception) -> str:
    """MLflow's code of an exception, e.g. `RESOURCE_DOES_NOT_EXIST`."""
    return str(getattr(error, "error_code", ""))

"""optuna-dashboard, and the stage's study rebuilt for it from its record."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from synthgap.errors import WorkError
from synthgap.jobs import content_digest
from synthgap.studies.storage import delete_study, study_name, study_names
from synthgap.studies.trials.samplers import quiet

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
DIGEST = "record"
"""User attribute of a rebuilt study: the digest of the record that it was rebuilt from."""


def bring(record: Mapping[str, Any], storage: BaseStorage) -> bool:
    """Make the storage hold the study of a record; whether that changed anything."""
    summary, recipe = record["study"], record["recipe"]
    name, digest = study_name(recipe, summary["name"]), content_digest(record)
    if name in study_names(storage):
        attrs = optuna.load_study(study_name=name, storage=storage).user_attrs
        if attrs.get(DIGEST) == digest:
            return False
        delete_study(summary["name"], recipe, storage)
    directions = [one["direction"] for one in summary["objectives"]]
    study = optuna.create_study(study_name=name, storage=storage, directions=directions)
    with quiet():
        study.set_metric_names([one["metric"] for one in summary["objectives"]])
    trials = [row for row in record["runs"] if row["kind"] != "final"]
    study.add_trials([_trial(row, summary) for row in trials])
    study.set_user_attr(DIGEST, digest)
    return True


def check_port(host: str, port: int) -> None:
    """Refuse a port that cannot be listened on.

    Raises:
        WorkError: it is taken, or not this user's to take.
    """
    with socket.socket() as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            asked.bind((host, port))
        except (OSError, OverflowError) as error:
            message = getattr(error, "strerror", None) or error
            raise WorkError(
                f"{host}:{port}: {message}; expected a free port, name another with --port"
            ) from None


def serve(storage: BaseStorage, *, host: str, port: int) -> None:
    """Run optuna-dashboard until it is interrupted."""
    from optuna_dashboard import run_server  # type: ignore[import-untyped]

    run_server(storage, host=host, port=port)


def _trial(row: Mapping[str, Any], summary: Mapping[str, Any]) -> FrozenTrial:
    metrics = [one["metric"] for one in summary["objectives"]]
    state, values = STATES[row["state"]], row.get("values") or {}
    space = {
        key: _distribution(summary["space"][key], summary["default"][key]) for key in row["tuned"]
    }
    is_whole = state == TrialState.COMPLETE
    steps = {epoch["epoch"]: epoch.get(metrics[0]) for epoch in row.get("epochs", [])}
    attrs = {name: row[name] for name in ("kind", "reason", "digest") if row.get(name) is not None}
    return create_trial(
        state=state,
        values=[values[metric] for metric in metrics] if is_whole else None,
        params=dict(row["tuned"]),
        distributions=space,
        user_attrs={"trial": row["trial"], **attrs},
        intermediate_values={step: value for step, value in steps.items() if value is not None},
    )


def _distribution(tried: Any, default: object) -> BaseDistribution:  # noqa: ANN401 - JSON
    """What a key was drawn from, of the section that `summary["space"]` keeps."""
    if isinstance(tried, list):
        return CategoricalDistribution(tried)
    low, high, step = tried["low"], tried["high"], tried["step"]
    if isinstance(default, int) and not isinstance(default, bool):
        return IntDistribution(int(low), int(high), log=tried["log"], step=int(step or 1))
    return FloatDistribution(low, high, log=tried["log"], step=step)

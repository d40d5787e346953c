"""Studies in the storage that all their workers share, each kept with all that determines it."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgap.errors import ParamsError, WorkError
from synthgap.studies.databases import SQLITE, StoragePlace
from synthgap.studies.trials.plan import StudyPlan

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage

    from synthgap.studies.heartbeat import Heartbeat

    Storage = BaseStorage  # for the command, which does not know optuna

VARIABLE = "SYNTHGAP_STUDIES"
PLAN = "plan"
DESCRIBED_S = 5.0
"""How long a study that another process just creates may be without its plan."""


def open_storage(url: str | None, root: Path, beats: Heartbeat | None = None) -> BaseStorage:
    """Open the storage of studies; the first who does makes it.

    Without a url: the one that `place_of` names.

    Raises:
        WorkError: no such kind of storage, it cannot be reached, or it holds something else.
    """
    import optuna

    from synthgap.studies.heartbeat import Heartbeat

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return StoragePlace(place_of(url, root), beats or Heartbeat()).open()


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn what a storage raises while it is used, a full disk say, into one line about `what`.

    Raises:
        WorkError: it did.
    """
    try:
        yield
    except Exception as error:
        if not _is_of_storage(error):
            raise
        cause = error.__cause__ or error
        message = str(getattr(cause, "orig", None) or cause).splitlines()[0]
        raise WorkError(
            f"{what}: its storage fails: {message}; expected it to be there and have room, mend "
            "that and start again: ended trials are kept"
        ) from None


def _is_of_storage(error: Exception) -> bool:
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, StorageInternalError | SQLAlchemyError)


def place_of(url: str | None, root: Path) -> str:
    """The url given, else SYNTHGAP_STUDIES, else `mlruns/studies.db` of the checkout.

    With its password: messages have its `masked_url`.
    """
    given = url or os.environ.get(VARIABLE)
    return given or f"{SQLITE}{root.resolve()}/mlruns/studies.db"


def masked_url(url: str) -> str:
    """The url for messages, records and logs: without its password."""
    from synthgap.studies.heartbeat import Heartbeat

    return StoragePlace(url, Heartbeat()).masked_url


def close_storage(storage: BaseStorage) -> None:
    """Close a database's connections; other storages hold nothing open."""
    from optuna.storages import RDBStorage

    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


def study_name(recipe: str, name: str) -> str:
    """What a study is called in its storage."""
    return f"{recipe}/{name}"


def study_names(storage: BaseStorage) -> list[str]:
    """All studies in the storage, as `<recipe>/<name>`."""
    import optuna

    return sorted(optuna.get_all_study_names(storage))


def create_study(plan: StudyPlan, storage: BaseStorage) -> Study:
    """Create a study with one waiting trial a slot of its budget; one that is there goes on.

    Any number of processes may do so at once.

    Raises:
        ParamsError: the study is there with another plan, or its budget is too small.
    """
    import optuna

    from synthgap.studies.trials.budget import planned_trials
    from synthgap.studies.trials.queue import queue_lost
    from synthgap.studies.trials.samplers import directions

    budget, name = planned_trials(plan), study_name(plan.base.recipe, plan.name)
    wanted = [optuna.study.StudyDirection[each.upper()] for each in directions(plan)]
    try:
        study = optuna.create_study(study_name=name, storage=storage, directions=wanted)
        _describe(study, plan)
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage)
        if not _is_described(study):  # its creator died at once
            optuna.delete_study(study_name=name, storage=storage)
            return create_study(plan, storage)
        check_plan(study, plan)
    queue_lost(study, budget)
    return study


def load_study(name: str, recipe: str, storage: BaseStorage) -> Study:
    """A study that was created.

    Raises:
        WorkError: there is none of that name.
    """
    import optuna

    wanted = study_name(recipe, name)
    try:
        return optuna.load_study(study_name=wanted, storage=storage)
    except KeyError:
        names = ", ".join(study_names(storage)) or "none"
        raise WorkError(
            f"study {wanted}: not in this storage, which has {names}; start it with "
            f"`synthgap study run {name}`"
        ) from None


def delete_study(name: str, recipe: str, storage: BaseStorage) -> None:
    """Forget a study and its trials.

    Raises:
        WorkError: there is none of that name.
    """
    import optuna

    load_study(name, recipe, storage)
    optuna.delete_study(study_name=study_name(recipe, name), storage=storage)


def plan_attributes(study: Study) -> dict[str, Any]:
    """The content of the plan that the study was created with.

    Raises:
        WorkError: it was not created by synthgap.
    """
    content: dict[str, Any] | None = study.user_attrs.get(PLAN)
    if content is None:
        raise WorkError(f"study {study.study_name}: without a plan, so not one of synthgap's")
    return content


def check_plan(study: Study, plan: StudyPlan) -> None:
    """Refuse to go on with a study under another plan than it was created with.

    Raises:
        ParamsError: they differ; the line names the first key.
    """
    found = _difference(plan_attributes(study), json.loads(json.dumps(plan.content)), "")
    if found is not None:
        key, kept, now = found
        raise ParamsError(
            f"study {study.study_name}, {key}: {_short(now)}, but the study was begun with "
            f"{_short(kept)}; expected the same: put it back, or name another study"
        )


def _describe(study: Study, plan: StudyPlan) -> None:
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():  # only the dashboard reads these names
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(list(plan.study.objectives))
    study.set_user_attr(PLAN, plan.content)


def _is_described(study: Study) -> bool:
    deadline = time.monotonic() + DESCRIBED_S
    while PLAN not in study.user_attrs:
        if time.monotonic() > deadline:
            return False
        time.sleep(DESCRIBED_S / 50)
    return True


def _difference(kept: object, now: object, key: str) -> tuple[str, object, object] | None:
    """The first key that is not the same, and what is there in both."""
    if not isinstance(kept, Mapping) or not isinstance(now, Mapping):
        return None if kept == now else (key, kept, now)
    for name in sorted({*kept, *now}):
        inner = f"{key}.{name}" if key else str(name)
        found = _difference(kept.get(name), now.get(name), inner)
        if found is not None:
            return found
    return None


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

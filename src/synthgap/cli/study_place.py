"""Where `synthgap study` works: params.yaml, the storage, and the records of studies."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from synthgap.errors import DataError, WorkError

if TYPE_CHECKING:
    from synthgap.jobs import Artifacts
    from synthgap.params.sections import Params
    from synthgap.studies.storage import Storage

PARAMS = Path("params.yaml")
FILES = ("sqlite:///", "journal://")


@dataclass(frozen=True)
class StudyPlace:
    """A checkout and the storage of its studies; `url` has its password."""

    params: Params
    artifacts: Artifacts
    url: str

    @classmethod
    def here(cls, storage: str | None) -> Self:
        """The checkout that the command runs in.

        Raises:
            ParamsError: there is no params.yaml, or it cannot be run.
        """
        from synthgap.jobs import Artifacts
        from synthgap.params import read_params
        from synthgap.studies.storage import masked_url, place_of

        if storage is not None and masked_url(storage) != storage:
            sys.stderr.write(
                "synthgap: the password behind --storage is seen in the list of processes; put "
                "the URL into the variable SYNTHGAP_STUDIES instead\n"
            )
        params, root = read_params(PARAMS), Path.cwd()
        return cls(params, Artifacts(root, params.recipe), place_of(storage, root))

    @cached_property
    def storage(self) -> Storage:
        """The storage, made where it is not there yet."""
        from synthgap.studies.storage import open_storage

        return open_storage(self.url, self.artifacts.root)

    @property
    def is_there(self) -> bool:
        """Whether there is a storage: one that is only read is not made."""
        kind = next((kind for kind in FILES if self.url.startswith(kind)), None)
        return kind is None or Path(self.url.removeprefix(kind)).is_file()

    @property
    def masked_url(self) -> str:
        """The storage's URL without a password."""
        from synthgap.studies.storage import masked_url

        return masked_url(self.url)

    def names(self) -> list[str]:
        """Studies of this recipe: those in the storage, and those whose record lies here."""
        from synthgap.studies.session import names_of, record_path
        from synthgap.studies.trials.setup import STAGE

        kept = names_of(self.artifacts.recipe, self.storage) if self.is_there else []
        folder = record_path(self.artifacts, "any").parents[1]
        found = {*kept, *(path.parent.name for path in folder.glob("*/run.json"))} - {STAGE}
        staged = [STAGE] if record_path(self.artifacts, STAGE).is_file() else []
        return [*staged, *sorted(found)]

    def is_kept(self, name: str) -> bool:
        """Whether the storage has the study."""
        from synthgap.studies.session import names_of
        from synthgap.studies.trials.setup import STAGE

        recipe = self.artifacts.recipe
        return name != STAGE and self.is_there and name in names_of(recipe, self.storage)

    def record(self, name: str) -> dict[str, Any]:
        """A study's run.json: of what its storage holds now, or as it lies here.

        Raises:
            WorkError: there is no such study; the line names those there are.
            DataError: the file is damaged.
        """
        from synthgap.studies.finalise import record_of
        from synthgap.studies.session import record_path
        from synthgap.studies.status import stored_plan
        from synthgap.studies.storage import load_study

        if self.is_kept(name):
            study = load_study(name, self.artifacts.recipe, self.storage)
            return record_of(stored_plan(study, self.params), study)
        path = record_path(self.artifacts, name)
        if not path.is_file():
            raise self.unknown(name)
        return read_record(path)

    def unknown(self, name: str) -> WorkError:
        """The line for a name that no study has."""
        from synthgap.studies.trials.setup import STAGE

        if name == STAGE:
            return WorkError(f"study {STAGE}: not made yet; `dvc repro {STAGE}` makes it")
        names = ", ".join(self.names())
        there = f"expected one of {names}" if names else "there is none yet"
        start = "`synthgap study run NAME` makes one"
        if name in self.params.studies:
            start = f"`synthgap study run {name}` makes it"
        return WorkError(f"study {name}: not in {self.masked_url}, {there}; {start}")


def read_record(path: Path) -> dict[str, Any]:
    """A study's run.json.

    Raises:
        DataError: it is damaged, or none of a study.
    """
    from synthgap.studies.trials.setup import STAGE

    name = path.parent.name
    again = f"synthgap study report {name}"
    if path.parents[1].name == STAGE:
        again = f"dvc checkout {path.parent}"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: unreadable ({error}); `{again}` writes it anew") from error
    is_record = isinstance(record, dict) and {"study", "runs", "params"} <= set(record)
    if not is_record or not isinstance(record["study"], dict) or "winner" not in record["study"]:
        raise DataError(f"{path}: no record of a study, expected one; `{again}` writes it anew")
    found: dict[str, Any] = record
    return found

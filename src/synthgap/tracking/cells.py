"""Read the cells' `run.json`: the truth that MLflow is a window on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthgap.errors import TrackingError
from synthgap.jobs import content_digest, read_json
from synthgap.tracking.runs import Run, RunOrigin
from synthgap.tracking.spool import times_path

# artifacts/<stage>/<recipe>[/<cell>]/run.json; a deeper search would walk through the images.
# mlruns/studies/<recipe>/<name>/run.json is of studies that the command line made.
PATTERNS = ("artifacts/*/*/run.json", "artifacts/*/*/*/run.json", "mlruns/studies/*/*/run.json")
FIELDS = ("inputs", "params", "runs")


@dataclass(frozen=True)
class RunCell:
    """One output folder with runs in it."""

    folder: Path
    about: Mapping[str, Any]  # run.json without its runs
    runs: Sequence[Run]

    def content(self, run: Run) -> dict[str, Any]:
        """What run.json would say if it held this run alone, without what its study says."""
        about = {name: value for name, value in self.about.items() if name != "study"}
        return {**about, "runs": [run]}


@dataclass(frozen=True)
class Times:
    """When a run happened: as noted while it ran, or else when its file was written."""

    start: float  # seconds since 1970
    end: float
    epochs: Mapping[str, float]
    host: str | None
    commit: str | None
    known: bool

    def of_epoch(self, epoch: int) -> float:
        """When an epoch ended."""
        return self.epochs.get(str(epoch), self.end)


def cells(root: Path) -> Iterator[RunCell]:
    """Every cell under `artifacts/`.

    Raises:
        TrackingError: a run.json is not one of ours.
    """
    for pattern in PATTERNS:
        for path in sorted(root.glob(pattern)):
            yield cell_of(path)


def digest_of(cell: RunCell, run: Run) -> str:
    """Changes whenever anything that MLflow shows of the run would."""
    return content_digest(cell.content(run))


def times_of_run(root: Path, cell: RunCell, run: Run) -> Times:
    """Wall times from `.synthgap/times`, or the file's time where they are gone."""
    written = (cell.folder / "run.json").stat().st_mtime
    try:
        noted = read_json(times_path(root, run["digest"]))
        return Times(
            start=float(noted["start"]),
            end=float(noted["end"]),
            epochs=noted.get("epochs", {}),
            host=noted.get("host"),
            commit=noted.get("commit"),
            known=True,
        )
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return Times(written, written, {}, None, None, known=False)


def origin_of(cell: RunCell, times: Times) -> RunOrigin:
    """What the run was given, and where and when."""
    return RunOrigin(
        inputs=cell.about["inputs"],
        params=cell.about["params"],
        start=times.start,
        commit=times.commit,
        host=times.host,
    )


def cell_of(path: Path) -> RunCell:
    """The cell of one run.json.

    Raises:
        TrackingError: it is not one of ours.
    """
    try:
        content = read_json(path)
    except (OSError, json.JSONDecodeError) as error:
        raise TrackingError(f"{path}: unreadable ({error}); rerun the stage") from error
    missing = [name for name in FIELDS if name not in content]
    if missing:
        raise TrackingError(f"{path}: lacks {missing}, expected a cell's run.json; rerun the stage")
    about = {name: value for name, value in content.items() if name != "runs"}
    return RunCell(folder=path.parent, about=about, runs=content["runs"])

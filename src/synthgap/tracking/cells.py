"""Read the output cells that MLflow mirrors: runs, their times, and files beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthgap.errors import TrackingError
from synthgap.jobs import content_digest, file_digest, read_json
from synthgap.tracking.runs import RunOrigin, RunRecord
from synthgap.tracking.spool import times_path
from synthgap.tracking.store import TrackingStore

# artifacts/<stage>/<recipe>[/<cell>]/run.json; a deeper search would walk through the images.
# mlruns/studies/<recipe>/<name>/run.json is of studies that the command line made.
RUN_FILES = ("artifacts/*/*/run.json", "artifacts/*/*/*/run.json", "mlruns/studies/*/*/run.json")
REQUIRED_KEYS = ("inputs", "params", "runs")


@dataclass(frozen=True)
class RunCell:
    """One output folder with runs in it."""

    folder: Path
    about: Mapping[str, Any]  # run.json without its runs
    runs: Sequence[RunRecord]

    def content(self, run: RunRecord) -> dict[str, Any]:
        """What run.json would say if it held this run alone, without what its study says."""
        about = {name: value for name, value in self.about.items() if name != "study"}
        return {**about, "runs": [run]}


@dataclass(frozen=True)
class RunTimes:
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


def iter_cells(root: Path) -> Iterator[RunCell]:
    """Every cell under `artifacts/`.

    Raises:
        TrackingError: a run.json is not one of ours.
    """
    for pattern in RUN_FILES:
        for path in sorted(root.glob(pattern)):
            yield read_cell(path)


def run_content_digest(cell: RunCell, run: RunRecord) -> str:
    """Changes whenever anything that MLflow shows of the run would."""
    return content_digest(cell.content(run))


def times_of_run(root: Path, cell: RunCell, run: RunRecord) -> RunTimes:
    """Wall times from `.synthgap/times`, or the file's time where they are gone."""
    written = (cell.folder / "run.json").stat().st_mtime
    try:
        noted = read_json(times_path(root, run["digest"]))
        return RunTimes(
            start=float(noted["start"]),
            end=float(noted["end"]),
            epochs=noted.get("epochs", {}),
            host=noted.get("host"),
            commit=noted.get("commit"),
            known=True,
        )
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return RunTimes(written, written, {}, None, None, known=False)


def origin_of(cell: RunCell, times: RunTimes) -> RunOrigin:
    """What the run was given, and where and when."""
    return RunOrigin(
        inputs=cell.about["inputs"],
        params=cell.about["params"],
        start=times.start,
        commit=times.commit,
        host=times.host,
    )


def read_cell(path: Path) -> RunCell:
    """The cell of one run.json.

    Raises:
        TrackingError: it is not one of ours.
    """
    try:
        content = read_json(path)
    except (OSError, json.JSONDecodeError) as error:
        raise TrackingError(f"{path}: unreadable ({error}); rerun the stage") from error
    missing = [name for name in REQUIRED_KEYS if name not in content]
    if missing:
        raise TrackingError(f"{path}: lacks {missing}, expected a cell's run.json; rerun the stage")
    about = {name: value for name, value in content.items() if name != "runs"}
    return RunCell(folder=path.parent, about=about, runs=content["runs"])


FILES_TAG = "synthgap.files"  # digest of what the parent holds
STAGE_FILES = {  # by experiment
    "gap": ("gap.json", "low-*.png", "high-*.png"),
    "tune": ("run.json", "*.html", "figures/*.png"),
}
REPORT_FIGURES = {"tune": ("tune-*.png",)}  # of a stage, among the report's figures


def log_stage_files(store: TrackingStore, run_id: str, experiment: str, folder: Path) -> None:
    """Log the stage's files under its parent run, unless exactly these are there already."""
    files = [*_report_figures(store.root, experiment, folder), *_stage_files(experiment, folder)]
    found = dict(sorted(files))
    if not found:
        return
    digest = content_digest({name: file_digest(path) for name, path in found.items()})
    if store.client.get_run(run_id).data.tags.get(FILES_TAG) == digest:
        return
    for name, path in found.items():
        place = Path(name).parent.as_posix()
        store.client.log_artifact(run_id, str(path), None if place == "." else place)
    store.write(run_id, tags={FILES_TAG: digest})


def _stage_files(experiment: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Files of the folder by their place in it."""
    for pattern in STAGE_FILES.get(experiment, ()):
        for path in folder.glob(pattern):
            yield path.relative_to(folder).as_posix(), path


def _report_figures(root: Path, experiment: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """What the report draws of the stage, in `figures/`."""
    figures = root / "artifacts" / "report" / "figures" / folder.name
    if folder.parent.parent != root / "artifacts":  # a study of the command line draws its own
        return
    for pattern in REPORT_FIGURES.get(experiment, ()):
        for path in figures.glob(pattern):
            yield f"figures/{path.name}", path

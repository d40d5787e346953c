"""Cells as students wrote them, grouped into series: the runs that differ by seed alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgap.errors import DataError
from synthgap.evaluation import Estimate, over_seeds
from synthgap.jobs import read_json

if TYPE_CHECKING:
    import pandas as pd

RUN_FILE = "run.json"
PREDICTIONS_FILE = "predictions.parquet"
TOLERANCE_PP = 0.05
TOP1, PROBE = "test/top1", "probe/top1"


@dataclass(frozen=True)
class Coordinates:
    """Where a series lies in the experiment; null where a coordinate does not apply."""

    recipe: str
    experiment: str
    student: str
    set: str
    source: str
    donor_set: str | None
    direction: str | None
    arm: str | None
    depth: int | None
    fraction: float | None
    guidance_scale: float | None
    ablation: str | None
    variant: str | None
    generator: str | None  # `main`, or a rival's name
    scheme: str | None  # of the prompts
    steps: int | None  # of sampling
    protocol: str | None  # of a guidance method
    method: str | None
    init: str | None  # where its student begins
    num_images: int


@dataclass(frozen=True)
class Series:
    """Runs of one place, by rising seed, with what each got right."""

    at: Coordinates
    runs: tuple[Mapping[str, Any], ...]
    correct: np.ndarray  # (num_seeds, num_images), share of the last epochs that were right, 0..1
    probed: np.ndarray | None = None  # (num_seeds, num_images), where a linear probe was right

    @property
    def real_labels(self) -> dict[str, int | None]:
        """Real labels that the generator, the donor and the student each used."""
        return dict(self.runs[0]["real_labels"])

    def labels_behind(self, metric: str) -> dict[str, int | None]:
        """Real labels that a number needed: a probe's own ones beside the student's."""
        probe = {"probe": self.runs[0]["probe_labels"]} if metric == PROBE else {}
        return {**self.real_labels, **probe}

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the runs, rising."""
        return tuple(run["seed"] for run in self.runs)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that every run has an estimate of."""
        shared = set.intersection(*(set(run["last"]) for run in self.runs))
        return tuple(sorted(shared))

    def of_run(self, run: Mapping[str, Any], metric: str) -> Estimate:
        """One run's mean and std over its last epochs."""
        return Estimate(**run["last"][metric])

    def over_seeds(self, metric: str) -> Estimate:
        """Mean and std of the runs' own means."""
        return over_seeds([self.of_run(run, metric) for run in self.runs])

    def by_seed(self, metric: str = TOP1) -> dict[int, float]:
        """A metric of each seed, percent."""
        return {run["seed"]: float(run["last"][metric]["mean"]) for run in self.runs}

    @cached_property
    def shares(self) -> np.ndarray:
        """(num_images,): share of right answers of each test image over epochs and seeds."""
        return np.asarray(self.correct.mean(axis=0))

    @cached_property
    def probe_shares(self) -> np.ndarray | None:
        """(num_images,): share of right answers of linear probes over seeds, where they ran."""
        return None if self.probed is None else np.asarray(self.probed.mean(axis=0))


@dataclass(frozen=True)
class CorrectPredictions:
    """What runs, by digest, got right of each test image, in the order of image paths."""

    right: Mapping[str, np.ndarray]  # shares of the last epochs, 0..1
    probed: Mapping[str, np.ndarray]  # whether a linear probe was, of those that were probed


@dataclass(frozen=True)
class OutputCell:
    """One output folder of an experiment."""

    folder: Path
    about: Mapping[str, Any]  # run.json

    def series(self) -> Iterator[Series]:
        """Group the cell's runs by everything but the seed.

        Raises:
            DataError: predictions are missing, of other images, or disagree with run.json.
        """
        answers = _read_predictions(self.folder / PREDICTIONS_FILE)
        groups: dict[Coordinates, list[Mapping[str, Any]]] = {}
        for run in self.about["runs"]:
            place = Coordinates(**{name: run[name] for name in Coordinates.__dataclass_fields__})
            groups.setdefault(place, []).append(run)
        for place, runs in groups.items():
            runs.sort(key=lambda run: int(run["seed"]))
            for run in runs:
                self._check(run, answers)
            digests = [run["digest"] for run in runs]
            probed = [answers.probed.get(digest) for digest in digests]
            there = [right for right in probed if right is not None]
            yield Series(
                place,
                tuple(runs),
                np.stack([answers.right[digest] for digest in digests]),
                np.stack(there) if len(there) == len(runs) else None,
            )

    def _check(self, run: Mapping[str, Any], answers: CorrectPredictions) -> None:
        if run["digest"] not in answers.right:
            raise DataError(
                f"{self.folder / PREDICTIONS_FILE}: no rows of run {run['name']!r}; rerun the stage"
            )
        for metric, right in ((TOP1, answers.right), (PROBE, answers.probed)):
            if run["digest"] not in right:
                continue
            saved = run["last"][metric]["mean"]
            found = 100 * float(right[run["digest"]].mean())
            if abs(saved - found) > TOLERANCE_PP:
                raise DataError(
                    f"{self.folder / RUN_FILE}: run {run['name']!r} says {metric} {saved:.2f}, its "
                    f"predictions give {found:.2f}; expected equal; rerun the stage that wrote it"
                )


def read_cells(folders: Iterable[Path]) -> tuple[list[OutputCell], list[Path]]:
    """Read the cells that are there; name the folders that hold none."""
    cells, missing = [], []
    for folder in folders:
        if (folder / RUN_FILE).is_file():
            cells.append(OutputCell(folder, read_json(folder / RUN_FILE)))
        else:
            missing.append(folder)
    return cells, missing


def read_series(cells: Iterable[OutputCell]) -> list[Series]:
    """Every series of the cells, checked to be scored on the same test images.

    Raises:
        DataError: two series saw different numbers of test images, or one place is there twice.
    """
    found: dict[Coordinates, Series] = {}
    for cell in cells:
        for one in cell.series():
            if one.at in found:
                raise DataError(f"{cell.folder}: another cell has {asdict(one.at)} too; rerun both")
            found[one.at] = one
    lengths = {one.correct.shape[1] for one in found.values()}
    if len(lengths) > 1:
        raise DataError(
            f"cells were scored on {sorted(lengths)} test images; expected one test set; "
            "rerun the older ones"
        )
    return list(found.values())


def _read_predictions(path: Path) -> CorrectPredictions:
    if not path.is_file():
        raise DataError(f"{path}: missing, expected one row a run and test image; rerun the stage")
    import pandas as pd

    rows = pd.read_parquet(path, columns=["run", "image", "correct", "label", "probe"])
    rows["probed"] = (rows["probe"] == rows["label"]).where(rows["probe"].notna())
    return CorrectPredictions(
        _pivot_by_run(rows, "correct", path),
        _pivot_by_run(rows.dropna(subset="probe"), "probed", path),
    )


def _pivot_by_run(rows: pd.DataFrame, column: str, path: Path) -> dict[str, np.ndarray]:
    """Values of a column by run, each in the order of image paths."""
    table = rows.pivot_table(index="run", columns="image", values=column, aggfunc="first")
    values = table.to_numpy(dtype=np.float64)
    if np.isnan(values).any() or len(rows) != values.size:
        raise DataError(
            f"{path}: {len(rows)} rows for {len(table)} runs and {values.shape[1]} images; "
            "expected one row a run and image; rerun the stage"
        )
    return {str(run): values[index] for index, run in enumerate(table.index)}

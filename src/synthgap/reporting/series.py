"""Cells as students wrote them, grouped into series: the runs that differ by seed alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from synthgap.artifacts import read_json
from synthgap.errors import DataError
from synthgap.evaluation import Estimate, over_seeds

RUN_FILE = "run.json"
PREDICTIONS_FILE = "predictions.parquet"
AGREEMENT_PP = 0.05


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


@dataclass(frozen=True)
class Series:
    """Runs of one place, by rising seed, with what each got right."""

    at: Coordinates
    runs: tuple[Mapping[str, Any], ...]
    correct: np.ndarray  # (num_seeds, num_images), share of the last epochs that were right, 0..1

    @property
    def real_labels(self) -> dict[str, int | None]:
        """Real labels that the generator, the donor and the student each used."""
        return dict(self.runs[0]["real_labels"])

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

    def by_seed(self) -> dict[int, float]:
        """Test top-1 of each seed, percent."""
        return {run["seed"]: float(run["last"]["test/top1"]["mean"]) for run in self.runs}

    @cached_property
    def shares(self) -> np.ndarray:
        """(num_images,): share of right answers of each test image over epochs and seeds."""
        return np.asarray(self.correct.mean(axis=0))


@dataclass(frozen=True)
class Cell:
    """One output folder of an experiment."""

    folder: Path
    about: Mapping[str, Any]  # run.json

    def series(self) -> Iterator[Series]:
        """Group the cell's runs by everything but the seed.

        Raises:
            DataError: predictions are missing, of other images, or disagree with run.json.
        """
        right = _right_answers(self.folder / PREDICTIONS_FILE)
        groups: dict[Coordinates, list[Mapping[str, Any]]] = {}
        for run in self.about["runs"]:
            place = Coordinates(**{name: run[name] for name in Coordinates.__dataclass_fields__})
            groups.setdefault(place, []).append(run)
        for place, runs in groups.items():
            runs.sort(key=lambda run: int(run["seed"]))
            for run in runs:
                self._check(run, right)
            yield Series(place, tuple(runs), np.stack([right[run["digest"]] for run in runs]))

    def _check(self, run: Mapping[str, Any], right: Mapping[str, np.ndarray]) -> None:
        if run["digest"] not in right:
            raise DataError(
                f"{self.folder / PREDICTIONS_FILE}: no rows of run {run['name']!r}; rerun the stage"
            )
        told = run["last"]["test/top1"]["mean"]
        found = 100 * float(right[run["digest"]].mean())
        if abs(told - found) > AGREEMENT_PP:
            raise DataError(
                f"{self.folder / RUN_FILE}: run {run['name']!r} says test/top1 {told:.2f}, its "
                f"predictions give {found:.2f}; expected equal; rerun the stage that wrote it"
            )


def read_cells(folders: Iterable[Path]) -> tuple[list[Cell], list[Path]]:
    """Read the cells that are there; name the folders that hold none."""
    cells, missing = [], []
    for folder in folders:
        if (folder / RUN_FILE).is_file():
            cells.append(Cell(folder, read_json(folder / RUN_FILE)))
        else:
            missing.append(folder)
    return cells, missing


def read_series(cells: Iterable[Cell]) -> list[Series]:
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


def _right_answers(path: Path) -> dict[str, np.ndarray]:
    """Per run, the share of right last epochs of every test image, in the order of image paths."""
    if not path.is_file():
        raise DataError(f"{path}: missing, expected one row a run and test image; rerun the stage")
    import pandas as pd

    rows = pd.read_parquet(path, columns=["run", "image", "correct"])
    table = rows.pivot_table(index="run", columns="image", values="correct", aggfunc="first")
    values = table.to_numpy(dtype=np.float64)
    if np.isnan(values).any() or len(rows) != values.size:
        raise DataError(
            f"{path}: {len(rows)} rows for {len(table)} runs and {values.shape[1]} images; "
            "expected one row a run and image; rerun the stage"
        )
    return {str(run): values[index] for index, run in enumerate(table.index)}

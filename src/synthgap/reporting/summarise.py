"""Stage `summarise`: every number of one recipe, from what the cells wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthgap.artifacts import (
    Artifacts,
    differences,
    discard,
    hold,
    read_json,
    whole_file,
    write_json,
)
from synthgap.data import MANIFEST, ImageSet
from synthgap.errors import DataError
from synthgap.params.sections import Grid, Summarise
from synthgap.reporting.comparisons import comparisons
from synthgap.reporting.contact import contact_sheet
from synthgap.reporting.fidelity import keep_fidelity
from synthgap.reporting.gap import keep_gap
from synthgap.reporting.labels import set_name
from synthgap.reporting.pairings import paired_comparisons
from synthgap.reporting.plots import metrics, write_rows
from synthgap.reporting.records import Panel, Resampling, records
from synthgap.reporting.series import Cell, read_cells, read_series
from synthgap.reporting.studies import FILE as TUNE

STYLISED = ("texture", "shape")  # what the report shows of the stage's run.json


@dataclass(frozen=True)
class SummariseParams:
    """What the stage reads of params.yaml: which cells there are, and how intervals are made."""

    seed: int
    summarise: Summarise
    grid: Grid


def summarise(params: SummariseParams, artifacts: Artifacts) -> None:
    """Write records, comparisons, rows, pictures, layers and the environment to the summary.

    A cell of the grid that is not there is named in `about.json` and shown as not run.

    Raises:
        DataError: there is no cell at all, or a cell contradicts itself.
    """
    cells, missing = read_cells(_folders(params.grid, artifacts))
    if not cells:
        raise DataError(
            f"{artifacts.root / 'artifacts'}: no student of recipe {artifacts.recipe} is there; "
            "expected the cells of params.yaml: grid; run `dvc repro`"
        )
    how = Resampling(params.summarise.resamples, params.summarise.confidence, params.seed)
    panel = Panel(read_series(cells), how)
    rows = records(panel)
    identity = {"stage": "summarise", "recipe": artifacts.recipe}
    with hold(artifacts.work, identity, artifacts.summary, stage="summarise") as work:
        discard(work)
        write_json(work.folder / "records.json", rows)
        compared = [*comparisons(panel), *paired_comparisons(panel)]
        write_json(work.folder / "comparisons.json", compared)
        write_json(work.folder / "metrics.json", metrics(rows))
        write_json(work.folder / "environment.json", _environments(cells, artifacts.root))
        write_rows(work.folder, rows)
        shown = _contact_sheet(work.folder / "contact.png", params.grid.sets, artifacts)
        missing += _gather(work.folder, params.grid, artifacts)
        keep_gap(work.folder, artifacts)
        missing += keep_fidelity(work.folder, panel.series, cells[0].folder, artifacts)
        about = _about(panel, cells[0], how) | {
            "recipe": artifacts.recipe,
            "classes_shown": shown,
            "oracle_caveat": _oracle_sheet(work.folder / "oracle.png", artifacts),
            "missing": [path.relative_to(artifacts.root).as_posix() for path in missing],
        }
        write_json(work.folder / "about.json", about)
        work.publish()


def _folders(grid: Grid, artifacts: Artifacts) -> Iterator[Path]:
    for name in grid.sets:
        yield artifacts.cell("train", name)
    for depth in grid.depths:
        yield artifacts.cell("transfer", depth)
    for depth in grid.control_depths:
        yield artifacts.cell("control", depth)
    for denominator in grid.fractions:
        yield artifacts.cell("reduce", denominator)
    for name in grid.ablations:
        yield artifacts.cell("ablate", name)
    for name in grid.clones:
        yield artifacts.cell("clone", name)
    for name in grid.guides:
        yield artifacts.cell("guide", name)
    yield artifacts.stage("gap")


def _gather(summary: Path, grid: Grid, artifacts: Artifacts) -> list[Path]:
    """Copy what the report shows of other stages; return their folders that hold none of it."""
    missing = []
    layers = artifacts.stage("layers") / "layers.json"
    if layers.is_file():
        write_json(summary / "layers.json", read_json(layers))
    else:
        missing.append(layers.parent)
    stylise = artifacts.stage("stylise")
    picture = stylise / "before_after.png"
    if picture.is_file():
        found = read_json(stylise / "run.json")
        write_json(summary / "stylise.json", {name: found[name] for name in STYLISED})
        with whole_file(summary / "stylised.png") as partial:
            partial.write_bytes(picture.read_bytes())
    elif "stylised" in grid.ablations:
        missing.append(stylise)
    tuned = artifacts.stage("tune") / "run.json"
    if tuned.is_file():
        write_json(summary / TUNE, read_json(tuned))
    else:
        missing.append(tuned.parent)
    return missing


def _oracle_sheet(path: Path, artifacts: Artifacts) -> str | None:
    """Show real images beside those that they prompted; return what the set says of itself."""
    folders = {"real, the prompts": artifacts.image_set("train")}
    folders["synthetic, what they prompt"] = artifacts.image_set("oracle")
    if not all((folder / MANIFEST).is_file() for folder in folders.values()):
        return None
    sets = {caption: ImageSet.read(folder) for caption, folder in folders.items()}
    contact_sheet(path, sets)
    caveat = sets["synthetic, what they prompt"].about.get("caveat")
    return None if caveat is None else str(caveat)


def _about(panel: Panel, cell: Cell, how: Resampling) -> dict[str, Any]:
    return {
        "student": panel.series[0].at.student,
        "units": [unit["name"] for unit in cell.about["units"]],
        "num_test_images": int(panel.series[0].correct.shape[1]),
        "resamples": how.resamples,
        "confidence": how.confidence,
        "training": cell.about["params"].get("training", {}),
        "inputs": _test_sets(cell.about["inputs"]),
    }


def _test_sets(inputs: Mapping[str, str]) -> dict[str, str]:
    return {path: digest for path, digest in inputs.items() if path.endswith("/test")}


def _environments(cells: Sequence[Cell], root: Path) -> dict[str, Any]:
    """Return the first cell's environment, and where another's differs from it."""
    first = dict(cells[0].about["environment"])
    differing = {
        cell.folder.relative_to(root).as_posix(): differences(
            dict(cell.about["environment"]), first
        )
        for cell in cells
        if cell.about["environment"] != first
    }
    return {"environment": first, "differences": differing, "num_cells": len(cells)}


def _contact_sheet(path: Path, names: Sequence[str], artifacts: Artifacts) -> list[str]:
    wanted = [name for name in ("train", *names) if name != "corpus"]
    there = {
        set_name(name): ImageSet.read(artifacts.image_set(name))
        for name in dict.fromkeys(wanted)
        if (artifacts.image_set(name) / MANIFEST).is_file()
    }
    return contact_sheet(path, there) if there else []

"""Contact sheet: real training images beside the synthetic ones, a class a row, a set a column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthgap.data import MANIFEST, ImageSet
from synthgap.data.contact_sheet import ContactSheet, cell, label_width, sheet_labels
from synthgap.errors import DataError
from synthgap.jobs import (
    Artifacts,
    differences,
    discard,
    hold,
    read_json,
    whole_file,
    write_json,
)
from synthgap.params.sections import Grid, Summarise
from synthgap.reporting.comparisons import comparisons
from synthgap.reporting.dvc_metrics import metrics, write_plot_rows
from synthgap.reporting.fidelity import copy_fidelity
from synthgap.reporting.gap import copy_gap
from synthgap.reporting.record_names import set_name
from synthgap.reporting.records import Resampling, SeriesPanel, records
from synthgap.reporting.seed_comparisons import paired_comparisons
from synthgap.reporting.series import OutputCell, read_cells, read_series
from synthgap.reporting.studies import FILE as TUNE

PER_CLASS = 5
CELL_PX = 44
GAP_PX = 4
GROUP_GAP_PX = 22
HEADER_PX = 26
MARGIN_PX = 8


def contact_sheet(path: Path, sets: Mapping[str, ImageSet]) -> list[str]:
    """Write the sheet of the captioned `sets` and return the classes it shows.

    A class's first images by manifest order: shown as they come, not chosen. With more than ten
    classes, ten evenly spaced ones.
    """
    classes = next(iter(sets.values())).classes
    names = [classes[label] for label in sheet_labels(len(classes))]
    names_px = MARGIN_PX + 10 + label_width(names)
    group_px = PER_CLASS * (CELL_PX + GAP_PX) - GAP_PX
    width = names_px + len(sets) * (group_px + GROUP_GAP_PX) - GROUP_GAP_PX + MARGIN_PX
    sheet = ContactSheet(width, HEADER_PX + len(names) * (CELL_PX + GAP_PX) + MARGIN_PX)
    for row, name in enumerate(names):
        sheet.label(name, MARGIN_PX, HEADER_PX + row * (CELL_PX + GAP_PX) + CELL_PX // 2)
    for column, (caption, images) in enumerate(sets.items()):
        left = names_px + column * (group_px + GROUP_GAP_PX)
        sheet.label(caption, left, HEADER_PX // 2)
        for row, name in enumerate(names):
            _paste_class(sheet, images, name, (left, HEADER_PX + row * (CELL_PX + GAP_PX)))
    sheet.save(path)
    return names


def _paste_class(sheet: ContactSheet, images: ImageSet, name: str, corner: tuple[int, int]) -> None:
    if name not in images.classes:
        return
    own = np.flatnonzero(images.labels == images.classes.index(name))[:PER_CLASS]
    for position, index in enumerate(own):
        left = corner[0] + position * (CELL_PX + GAP_PX)
        sheet.paste(cell(images.image(int(index)), CELL_PX), left, corner[1])


STYLISE_KEYS = ("texture", "shape")  # what the report shows of the stage's run.json


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
    panel = SeriesPanel(read_series(cells), how)
    rows = records(panel)
    identity = {"stage": "summarise", "recipe": artifacts.recipe}
    with hold(artifacts.work, identity, artifacts.summary, stage="summarise") as work:
        discard(work)
        write_json(work.folder / "records.json", rows)
        compared = [*comparisons(panel), *paired_comparisons(panel)]
        write_json(work.folder / "comparisons.json", compared)
        write_json(work.folder / "metrics.json", metrics(rows))
        write_json(work.folder / "environment.json", _environments(cells, artifacts.root))
        write_plot_rows(work.folder, rows)
        sheet_classes = _contact_sheet(work.folder / "contact.png", params.grid.sets, artifacts)
        missing += _copy_stage_files(work.folder, params.grid, artifacts)
        copy_gap(work.folder, artifacts)
        missing += copy_fidelity(work.folder, panel.series, cells[0].folder, artifacts)
        about = _about(panel, cells[0], how) | {
            "recipe": artifacts.recipe,
            "classes_shown": sheet_classes,
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


def _copy_stage_files(summary: Path, grid: Grid, artifacts: Artifacts) -> list[Path]:
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
        write_json(summary / "stylise.json", {name: found[name] for name in STYLISE_KEYS})
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


def _about(panel: SeriesPanel, cell: OutputCell, how: Resampling) -> dict[str, Any]:
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


def _environments(cells: Sequence[OutputCell], root: Path) -> dict[str, Any]:
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

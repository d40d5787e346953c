"""A cell: runs that share all but their seeds, made by as many processes as asked, as a folder."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from synthgap.data import ImageSet, write_png
from synthgap.experiments.runs.run import Prober, RunContext, make, results, train_spec_of
from synthgap.experiments.runs.sources import REAL, Source, open_scored
from synthgap.experiments.runs.spec import RunSettings, RunSpec
from synthgap.jobs import Artifacts, Log, environment, file_digest, silent
from synthgap.jobs.distributed import accelerator_of
from synthgap.jobs.launching import is_launched, is_main
from synthgap.jobs.once import make_once
from synthgap.jobs.workers import run_all
from synthgap.models.build import build_student
from synthgap.models.initial_weights import initial_weights_file
from synthgap.models.units import num_parameters, units_of
from synthgap.seeding import torch_stream
from synthgap.training.augmentation import augment
from synthgap.training.labelled_images import LabelledImages, Normalisation
from synthgap.training.train_spec import TrainSpec

COLUMNS, ROWS, MARGIN = 12, 8, 2


def save_samples(path: Path, train_spec: TrainSpec) -> None:
    """Write a PNG grid: a row shows one image, then crops of it, as the first epoch cuts them."""
    draw = torch_stream(train_spec.seed, "samples")
    rows = min(ROWS, len(train_spec.images))
    chosen = np.linspace(0, len(train_spec.images) - 1, rows).astype(int)
    images = train_spec.images.images[chosen]
    crops = [images.float().div(255)]
    for part in augment(images, train_spec.training, draw, train_spec.pictures):
        crops += list(torch.split(part, rows))
    crops = crops[:COLUMNS]
    edge = max(32, images.shape[-1])
    step = edge + MARGIN
    canvas = Image.new("RGB", (len(crops) * step + MARGIN, rows * step + MARGIN), (128, 128, 128))
    for column, part in enumerate(crops):
        for row, image in enumerate(part.mul(255).round().byte().permute(0, 2, 3, 1).numpy()):
            scale = edge / images.shape[-1]
            size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
            tile = Image.fromarray(image).resize(size, Image.Resampling.NEAREST)
            canvas.paste(tile, (MARGIN + column * step, MARGIN + row * step))
    write_png(path, np.asarray(canvas))


@dataclass(frozen=True)
class Cell:
    """What a stage wants made: its name, coordinates, own section and runs."""

    experiment: str
    coordinates: tuple[str | int, ...]
    section: Mapping[str, Any]  # {name: content} of the stage's own section of params.yaml
    plans: list[RunSpec]
    keep_weights: bool = False
    prober: Prober | None = None  # of every finished student
    inputs: Mapping[str, str] = field(default_factory=dict)  # digests of what else it reads
    beside: Callable[[Path], None] | None = None  # writes what else belongs into the cell's folder


def make_cell(cell: Cell, settings: RunSettings, artifacts: Artifacts, log: Log) -> None:
    """Make every run of the cell and publish its folder.

    Raises:
        SynthgapError: a run cannot be made; what was finished stays for the next attempt.
    """
    import torch

    torch.set_num_threads(settings.runtime.threads)
    if is_launched():
        accelerator_of(settings.runtime)  # joins the other processes
    output = artifacts.cell(cell.experiment, *cell.coordinates)
    run_context = _run_context(cell, settings, artifacts, log)
    claim = {
        **run_context.identity,
        "inputs": run_context.inputs,
        "runs": [plan.name for plan in cell.plans],
    }

    def make_runs(folder: Path, finished: Path) -> dict[str, Any] | None:
        within = replace(run_context, folder=folder)
        tasks = [functools.partial(make, plan, within) for plan in cell.plans]
        alone = is_launched() or _device(settings) != "cpu"
        run_all(tasks, workers=1 if alone else settings.runtime.workers)
        return _assemble(cell, within, finished) if is_main() else None

    make_once(artifacts, claim, output, make_runs, stage=cell.experiment)


def _run_context(cell: Cell, settings: RunSettings, artifacts: Artifacts, log: Log) -> RunContext:
    """All that the runs share, before there is a folder for them."""
    scored = open_scored(artifacts, stored_size(cell.plans))
    return RunContext(
        settings=settings,
        identity=_identity(cell, settings, artifacts.recipe),
        record={
            "experiment": cell.experiment,
            "recipe": artifacts.recipe,
            "student": settings.student.model,
        },
        inputs=_inputs(cell, settings, artifacts, scored),
        scored=scored,
        folder=artifacts.work,
        log=log if is_main() else silent,
        keep_weights=cell.keep_weights,
        real=_real_statistics(cell, settings, artifacts),
        prober=cell.prober,
    )


def _real_statistics(
    cell: Cell, settings: RunSettings, artifacts: Artifacts
) -> Normalisation | None:
    """Mean and std of the real training set, where a run scores by them."""
    trainings = [plan.training or settings.training for plan in cell.plans]
    if all(training.normalise != "fed_set" for training in trainings):
        return None
    images = ImageSet.read(artifacts.image_set(REAL))
    store = artifacts.root / ".synthgap" / "packed"
    pixels = images.pixels(stored_size(cell.plans), store=store)
    return Normalisation.measured(LabelledImages.of(pixels, images.labels))


def _identity(cell: Cell, settings: RunSettings, recipe: str) -> dict[str, Any]:
    """What determines every run of the cell, besides its own coordinates and inputs."""
    return {
        "experiment": cell.experiment,
        "recipe": recipe,
        "params": {
            "seed": settings.seed,
            "student": asdict(settings.student),
            "training": asdict(settings.training),
            **cell.section,
        },
        "environment": {
            **environment(threads=settings.runtime.threads, device=_device(settings)),
            "precision": settings.runtime.precision,
            "processes": settings.runtime.processes,
        },
        **({"probe": cell.prober.about} if cell.prober else {}),
    }


def stored_size(plans: list[RunSpec]) -> int:
    """Edge length (px) at which the plans' images were loaded."""
    return int(plans[0].source.labelled.images.shape[-1])


def _inputs(
    cell: Cell, settings: RunSettings, artifacts: Artifacts, scored: Mapping[str, Source]
) -> dict[str, str]:
    """Digest of everything that the runs read, by its path."""
    inputs = dict(cell.inputs)
    probed_by = [cell.prober.source] if cell.prober else []
    for source in (*(plan.source for plan in cell.plans), *scored.values(), *probed_by):
        for part in source.parts:
            path = artifacts.image_set(part.name).relative_to(artifacts.root)
            inputs[path.as_posix()] = part.images.digest
    for donor in (plan.donor for plan in cell.plans if plan.donor):
        path = Path(f"{donor.stem}.safetensors").relative_to(artifacts.root)
        inputs[path.as_posix()] = donor.weights_sha256
    for distillation in (plan.distillation for plan in cell.plans if plan.distillation):
        path = artifacts.stage("teacher").relative_to(artifacts.root)
        inputs[path.as_posix()] = distillation.digest
    for method_spec in (plan.method_spec for plan in cell.plans if plan.method_spec):
        inputs |= method_spec.inputs
    students = [
        plan.method_spec.student if plan.method_spec else settings.student for plan in cell.plans
    ]
    for start in filter(None, map(initial_weights_file, students)):
        inputs.setdefault(f"weights/{start.name}", file_digest(start))
    return dict(sorted(inputs.items()))


def _assemble(cell: Cell, run_context: RunContext, finished: Path) -> dict[str, Any]:
    """Write what the cell keeps besides run.json, and return what that says."""
    finished.mkdir()
    runs = results(cell.plans, run_context)
    _write_predictions(cell.plans, run_context, finished / "predictions.parquet")
    for plan in cell.plans if run_context.keep_weights else []:
        for suffix in (".safetensors", ".json"):
            kept = run_context.run_folder(plan) / f"student{suffix}"
            (finished / f"student-s{plan.seed}{suffix}").write_bytes(kept.read_bytes())
    save_samples(finished / "samples.png", train_spec_of(cell.plans[0], run_context))
    if cell.beside is not None:
        cell.beside(finished)
    return cell_record(run_context, runs, _units(cell.plans[0], run_context.settings))


def cell_record(
    run_context: RunContext, runs: list[dict[str, Any]], units: list[dict[str, Any]]
) -> dict[str, Any]:
    """What run.json of a folder of runs says."""
    return {
        "schema": 1,
        "experiment": run_context.record["experiment"],
        "recipe": run_context.record["recipe"],
        "inputs": dict(run_context.inputs),
        "environment": run_context.identity["environment"],
        "params": run_context.identity["params"],
        "units": units,
        "runs": runs,
    }


def _write_predictions(plans: list[RunSpec], run_context: RunContext, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    test = run_context.scored["test"].images
    tables = []
    for plan in plans:
        with np.load(run_context.run_folder(plan) / "predictions.npz") as kept:
            prediction, confidence, last = kept["prediction"], kept["confidence"], kept["all"]
            probe = kept.get("probe", [None] * len(test))
        columns = {
            "run": [plan.digest(run_context.identity)] * len(test),
            "seed": [plan.seed] * len(test),
            "image": list(test.paths),
            "label": test.labels,
            "prediction": prediction,
            "confidence": confidence,
            "correct": (last == test.labels).mean(axis=0),
            "probe": pa.array(probe, pa.int64()),
        }
        tables.append(pa.table(columns))
    pq.write_table(pa.concat_tables(tables), path)


def _units(plan: RunSpec, settings: RunSettings) -> list[dict[str, Any]]:
    model = build_student(settings.student.at_random(), len(plan.source.images.classes), seed=0)
    return [
        {
            "name": unit.name,
            "num_parameters": num_parameters(model, unit),
            "modules": sorted({name.rpartition(".")[0] or name for name in unit.parameters}),
        }
        for unit in units_of(model)
    ]


def _device(settings: RunSettings) -> str:
    from synthgap.jobs.device import device_name, device_of

    return device_name(device_of(settings.runtime))

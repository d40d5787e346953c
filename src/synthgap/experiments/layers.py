"""Why late layers fail: similarity of real- and synthetic-trained units, and what each knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from synthgap.evaluation.cka import centred_gram, cka_matrix
from synthgap.evaluation.probe import Examples, fit_probe
from synthgap.experiments.runs.features import TrainedStudent
from synthgap.experiments.runs.sources import REAL, Source, open_scored, open_source
from synthgap.experiments.runs.spec import Donor, donor_seed
from synthgap.experiments.runs.subsets import balanced
from synthgap.jobs import Artifacts, environment, write_json
from synthgap.jobs.device import device_name, device_of
from synthgap.jobs.once import make_once
from synthgap.models.units import units_of
from synthgap.params.sections import Data, Layers, Runtime, Student
from synthgap.training.labelled_images import LabelledImages

MAX_FEATURES = 16384  # of one unit; larger maps are averaged over neighbouring places, for memory


@dataclass(frozen=True)
class UnitAnalysis:
    """One student, unit by unit."""

    units: list[str]
    grams: list[np.ndarray]  # of the held-out images, centred, (num_images, num_images)
    probed: list[float]  # top-1 in percent on the held-out images


def analyse_units(trained: TrainedStudent, images: Mapping[str, LabelledImages]) -> UnitAnalysis:
    """Show the student real images.

    `images` holds `train`, by which probes learn, `test`, and perhaps `val`, by which they choose
    their penalty.
    """
    examples = {name: _after_units(trained, labelled) for name, labelled in images.items()}
    by_unit = [
        dict(zip(examples, parts, strict=True)) for parts in zip(*examples.values(), strict=True)
    ]
    return UnitAnalysis(
        units=[unit.name for unit in units_of(trained.model)],
        grams=[centred_gram(parts["test"].features) for parts in by_unit],
        probed=[
            fit_probe(parts[REAL], chosen_by=parts.get("val")).top1(parts["test"])
            for parts in by_unit
        ],
    )


def thinned(activations: Tensor) -> Tensor:
    """One row an image, (batch, num_features): all of it, or means over neighbouring places.

    activations: (batch, features), tokens (batch, places, features), or a square map with features
    second or last.
    """
    if activations[0].numel() <= MAX_FEATURES or activations.ndim == 2:
        return activations.flatten(1)
    if activations.ndim == 3:
        tokens = activations.transpose(1, 2)
        return functional.adaptive_avg_pool1d(
            tokens, max(1, MAX_FEATURES // tokens.shape[1])
        ).flatten(1)
    square = activations.shape[2] == activations.shape[3]
    maps = activations if square else activations.permute(0, 3, 1, 2)
    side = max(1, int((MAX_FEATURES // maps.shape[1]) ** 0.5))
    return functional.adaptive_avg_pool2d(maps, side).flatten(1)


def _after_units(trained: TrainedStudent, labelled: LabelledImages) -> list[Examples]:
    batches = [[thinned(part.float()).cpu() for part in batch] for batch in trained.units(labelled)]
    labels = labelled.labels.numpy()
    return [Examples(torch.cat(parts).numpy(), labels) for parts in zip(*batches, strict=True)]


DIGITS = 6  # decimals kept
Kind = Literal["real", "synthetic"]
Key = tuple[Kind, int]  # what a student learned from, and its seed


@dataclass(frozen=True)
class LayersParams:
    """The sections that stage `layers` reads."""

    seed: int
    runtime: Runtime
    data: Data
    student: Student
    layers: Layers


def layers(params: LayersParams, artifacts: Artifacts) -> None:
    """Compare the students of stage `train`, and probe each after every unit, into layers.json.

    The images are real. No student has learned from those that are compared and that probes are
    scored on, and nothing is chosen by them; probes learn from the real training images and choose
    their penalty by `val`.

    Raises:
        SynthgapError: a student or an image set is missing or damaged.
    """
    torch.set_num_threads(params.runtime.threads)
    study = _LayerStudy.open(params, artifacts)

    def make(_: Path, finished: Path) -> None:
        write_json(finished / "layers.json", _found(study))

    make_once(artifacts, study.about, artifacts.stage("layers"), make, stage="layers")


@dataclass(frozen=True)
class _LayerStudy:
    params: LayersParams
    students: Mapping[Key, Donor]
    images: Mapping[str, LabelledImages]  # of each real set, as many as asked for
    about: Mapping[str, Any]  # what determines the result

    @classmethod
    def open(cls, params: LayersParams, artifacts: Artifacts) -> _LayerStudy:
        size = params.data.image_size
        sources = {REAL: open_source(artifacts, REAL, size), **open_scored(artifacts, size)}
        students = _students(params, artifacts)
        inputs = {artifacts.image_set(name): kept.images.digest for name, kept in sources.items()}
        inputs |= {Path(f"{s.stem}.safetensors"): s.weights_sha256 for s in students.values()}
        device = device_of(params.runtime)
        name = device_name(device)
        about = {
            "experiment": "layers",
            "recipe": artifacts.recipe,
            "params": {
                "seed": params.seed,
                "student": asdict(params.student),
                "layers": asdict(params.layers),
            },
            "inputs": {
                path.relative_to(artifacts.root).as_posix(): digest
                for path, digest in inputs.items()
            },
            "environment": environment(threads=params.runtime.threads, device=name),
        }
        some = {name: _some(source, params) for name, source in sources.items()}
        return cls(params, students, some, about)


def _students(params: LayersParams, artifacts: Artifacts) -> dict[Key, Donor]:
    names: dict[Kind, str] = {
        "real": REAL,
        "synthetic": artifacts.synthetic(params.layers.guidance_scale),
    }
    return {
        (kind, seed): Donor.open(artifacts, name, seed)
        for kind, name in names.items()
        for seed in params.layers.seeds
    }


def _some(source: Source, params: LayersParams) -> LabelledImages:
    kept = balanced(source.images.labels, params.layers.max_images, seed=params.seed)
    return source.labelled.subset(kept)


def _found(study: _LayerStudy) -> dict[str, Any]:
    student, device = study.params.student, device_of(study.params.runtime)
    analyses = {
        key: analyse_units(TrainedStudent.open(Path(donor.stem), student, device), study.images)
        for key, donor in study.students.items()
    }
    units = next(iter(analyses.values())).units
    return {
        "schema": 1,
        **study.about,
        "student": student.model,
        "guidance_scale": study.params.layers.guidance_scale,
        "units": units,
        "images": {
            "cka": len(study.images["test"]),
            "probe_train": len(study.images[REAL]),
            "probe_test": len(study.images["test"]),
        },
        **_similarity(analyses, study.params.layers.seeds),
        "probes": [
            {"source": kind, "seed": seed, "unit": unit, "top1": round(top1, DIGITS)}
            for (kind, seed), anatomy in analyses.items()
            for unit, top1 in zip(units, anatomy.probed, strict=True)
        ],
    }


def _similarity(analyses: Mapping[Key, UnitAnalysis], seeds: tuple[int, ...]) -> dict[str, Any]:
    """Of every pair, each unit with its like, and the mean over seeds of each with each."""
    rows: list[dict[str, Any]] = []
    matrices: dict[str, list[np.ndarray]] = {}
    for one, other in pairs(seeds):
        name = f"{one[0]}~{other[0]}"
        matrix = cka_matrix(analyses[one].grams, analyses[other].grams)
        matrices.setdefault(name, []).append(matrix)
        rows += [
            {
                "pair": name,
                "seed": one[1],
                "other_seed": other[1],
                "unit": unit,
                "value": value,
            }
            for unit, value in zip(analyses[one].units, _plain(np.diag(matrix)), strict=True)
        ]
    means = {name: np.mean(group, axis=0) for name, group in matrices.items()}
    return {
        "cka": rows,
        "matrix": {name: [_plain(row) for row in mean] for name, mean in means.items()},
    }


def pairs(seeds: tuple[int, ...]) -> list[tuple[Key, Key]]:
    """Which students are compared: always those of two seeds, where there are two.

    Students of one seed start from the same weights, which alone makes them alike; so a real and a
    synthetic one are held against what two real ones, or two synthetic ones, have in common.
    """
    found: list[tuple[Key, Key]] = []
    kinds: list[tuple[Kind, Kind]] = [
        ("real", "synthetic"),
        ("real", "real"),
        ("synthetic", "synthetic"),
    ]
    for one, other in kinds:
        for seed in seeds:
            pair: tuple[Key, Key] = ((one, seed), (other, donor_seed(seeds, seed)))
            if pair[0] != pair[1] and pair[::-1] not in found:
                found.append(pair)
    return found


def _plain(values: np.ndarray) -> list[float | None]:
    """JSON's own numbers; null where a representation does not tell images apart."""
    return [round(float(value), DIGITS) if np.isfinite(value) else None for value in values]

"""What gap.json says: numbers of the sources, held against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from synthgap.errors import DataError
from synthgap.evaluation.calibration import shared_edges
from synthgap.evaluation.curves import saturated_from
from synthgap.evaluation.intervals import estimate
from synthgap.experiments.gap.predictions import PredictedSet
from synthgap.experiments.runs.sources import CORPUS, Source
from synthgap.jobs import Artifacts, read_json

DIGITS = 6  # decimals kept
QUANTILES = (0.05, 0.25, 0.75, 0.95)
CURVES = ("train/top1", "train/loss")
Numbers = dict[str, Any]  # JSON's own; null where a number is undefined


def cross_accuracy(predicted_sets: Mapping[str, PredictedSet]) -> Numbers:
    """Top-1 in percent of every source's students on every source's training images (Table 1).

    {set learned from: {set scored on: an estimate over seeds}}
    """
    return {
        learned: {
            scored: asdict(estimate(predicted.answers[learned].top1, over="seeds"))
            for scored, predicted in predicted_sets.items()
        }
        for learned in predicted_sets
    }


def loss_histograms(predicted_sets: Mapping[str, PredictedSet], bins: int) -> Numbers:
    """Counts of every set's losses under every classifier, over the same edges (nats)."""
    pairs = [
        (classifier, name, predicted.answers[classifier].losses)
        for classifier in predicted_sets
        for name, predicted in predicted_sets.items()
    ]
    edges = shared_edges(np.concatenate([losses for _, _, losses in pairs]), bins)
    return {
        "edges": edges.tolist(),
        "pairs": [
            {
                "classifier": classifier,
                "images": name,
                "counts": np.histogram(losses, edges)[0].tolist(),
                "mean": round(float(losses.mean()), DIGITS),
                "median": round(float(np.median(losses)), DIGITS),
                "quantiles": {
                    str(level): round(float(np.quantile(losses, level)), DIGITS)
                    for level in QUANTILES
                },
            }
            for classifier, name, losses in pairs
        ],
    }


def appearance(predicted: PredictedSet, high_frequency: float) -> Numbers:
    """The set's power by spatial frequency (cycles a pixel), and the share of high ones."""
    spectrum = predicted.spectrum
    return {
        "frequencies": spectrum.frequencies.tolist(),
        "log_power": [_plain(value) for value in spectrum.log_power],
        "high_share": _plain(spectrum.share_above(high_frequency)),
    }


def runs_of(artifacts: Artifacts, name: str, seeds: Sequence[int]) -> list[Numbers]:
    """The records of the students of stage `train`, in the order of seeds.

    Raises:
        DataError: there is none of a seed.
    """
    path = record_path(artifacts, name)
    runs = {run["seed"]: run for run in read_json(path)["runs"]} if path.is_file() else {}
    missing = [seed for seed in seeds if seed not in runs]
    if missing:
        raise DataError(
            f"{path}: no students of the seeds {missing}, expected those of gap.seeds "
            f"({list(seeds)}); rerun `dvc repro train`"
        )
    return [runs[seed] for seed in seeds]


def record_path(artifacts: Artifacts, name: str) -> Path:
    """Where stage `train` has written them."""
    return artifacts.cell("train", name) / "run.json"


def saturation(runs: Sequence[Numbers], within: float) -> Numbers:
    """Mean training curves over seeds, and the epoch from which top-1 stays as it ends.

    `within` (points) of its last value, that is; crops are augmented while learning.
    """
    curves = {name: [[e[name] for e in run["epochs"]] for run in runs] for name in CURVES}
    saturated = [saturated_from(values, within=within) for values in curves["train/top1"]]
    return {
        "epochs": [epoch["epoch"] for epoch in runs[0]["epochs"]],
        **{name: np.mean(values, axis=0).round(DIGITS).tolist() for name, values in curves.items()},
        "saturated": asdict(estimate(saturated, over="seeds")),
    }


def manifold_numbers(artifacts: Artifacts, source: Source) -> Numbers:
    """Content and quality of one set against the real train set, as stage `fidelity` found them.

    Raises:
        DataError: it has not measured exactly these images.
    """
    path = measured_path(artifacts)
    measured = read_json(path) if path.is_file() else {"sets": {}}
    found = measured["sets"].get(source.name, {})
    if source.name == CORPUS:
        found = _of_corpus(artifacts, measured)
    if found.get("digest") != source.images.digest:
        raise DataError(
            f"{path}: nothing on the images of {source.images.root}, expected their coverage; "
            "rerun `dvc repro fidelity`"
        )
    return split_manifold(found["metrics"])


def reference_numbers(artifacts: Artifacts) -> Numbers | None:
    """The same of other real images, to compare with; None where stage `fidelity` had none.

    {"what": which images against which, "content": ..., "quality": ...}
    """
    real = read_json(measured_path(artifacts)).get("real") or {}
    return {"what": real["what"], **split_manifold(real["metrics"])} if real else None


def measured_path(artifacts: Artifacts) -> Path:
    """Where stage `fidelity` has written what it measured."""
    return artifacts.stage("fidelity") / "fidelity.json"


def split_manifold(metrics: Mapping[str, Any]) -> Numbers:
    """Content (how much of the real manifold is there) and quality (how much lies beside it)."""
    precision = metrics["precision"]
    return {
        "content": {name: metrics[name] for name in ("coverage", "recall")},
        "quality": {
            "off_manifold": None if precision is None else round(1 - precision, DIGITS),
            "density": metrics["density"],
        },
    }


def _of_corpus(artifacts: Artifacts, measured: Mapping[str, Any]) -> Numbers:
    """What other real images score: the reference of stage `fidelity`, unless it halved train."""
    real = measured.get("real", {})
    if real.get("what") != "corpus against train":
        return {}
    place = artifacts.image_set(CORPUS).relative_to(artifacts.root).as_posix()
    return {"digest": measured["inputs"][place], "metrics": real["metrics"]}


def _plain(value: float) -> float | None:
    """JSON's own number; null where a set has no power at all."""
    return round(float(value), DIGITS) if np.isfinite(value) else None

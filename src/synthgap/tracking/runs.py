"""What a run looks like in MLflow: params, tags, metrics and datasets from its RUN record."""

from __future__ import annotations

import getpass
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from synthgap.tracking.dvc_digests import dataset_digest
from synthgap.tracking.store import Point, Store
from synthgap.tracking.trials import (
    is_trial,
    source_of,
    text,
    trial_name,
    trial_params,
    trial_tags,
)

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

Run = Mapping[str, Any]
DIGEST, CONTENT, EPOCHS = "synthgap.digest", "synthgap.content", "synthgap.epochs"
INPUTS = "synthgap.inputs"  # every path that went in, with its whole digest
COORDINATES = (
    *("student", "source", "set", "donor_set", "direction", "arm", "depth", "fraction"),
    *("ablation", "variant", "generator", "scheme", "guidance_scale", "steps", "seed"),
    *("protocol", "method", "init", "num_real_images", "num_synthetic_images"),
    *("num_images", "num_steps", "peak_lr", "probe_labels"),
)
SECTIONS = ("student", "training")
TAGGED = (
    *("experiment", "recipe", "ablation", "variant", "direction", "arm", "depth", "fraction"),
    *("seed", "source", "set", "generator", "scheme", "protocol", "method", "init"),
)
MADE_FROM_CORPUS = (
    "generator",
    "rivals",
    "judge",
    "teacher",
    "oracle",
    "stylise",
    "references",
)  # whose runs are no students


@dataclass(frozen=True)
class RunOrigin:
    """What a run was given, and where and when it happened, as far as that is known."""

    inputs: Mapping[str, str]
    params: Mapping[str, Any]
    start: float  # seconds since 1970
    commit: str | None
    host: str | None


def params_of(run: Run, sections: Mapping[str, Any]) -> dict[str, str]:
    """The cell's coordinates, the labels used, and the flattened student and training sections."""
    values = {name: run[name] for name in COORDINATES if run.get(name) is not None}
    for name, count in (run.get("real_labels") or {}).items():
        values[f"real_labels.{name}"] = "unknown" if count is None else count
    for section in SECTIONS:
        values |= dict(_flat(section, sections.get(section) or {}))
    values |= trial_params(run, values)
    return {name: text(value) for name, value in values.items()}


def run_name_of(run: Run) -> str:
    """The run's name in MLflow; an ablation's begins with what is changed."""
    if is_trial(run):
        return trial_name(run)
    words = [run.get("ablation") or "", *str(run["name"]).split(" ")]
    return " ".join(word for word, _ in groupby(words) if word)


def tags_of(run: Run, origin: RunOrigin, parent: str | None) -> dict[str, str]:
    """Coordinates to filter by, and whose run it is."""
    tags = {name: text(run[name]) for name in TAGGED if run.get(name) is not None}
    tags |= trial_tags(run)
    tags |= {
        DIGEST: run["digest"],
        "mlflow.source.name": source_of(run),
        "mlflow.source.type": "LOCAL",
        "mlflow.user": getpass.getuser(),
    }
    if parent:
        tags["mlflow.parentRunId"] = parent
    if origin.commit:
        tags["mlflow.source.git.commit"] = origin.commit.removesuffix("-dirty")
        tags["mlflow.source.git.dirty"] = str(origin.commit.endswith("-dirty"))
    if origin.host:
        tags["host"] = origin.host
    return tags


def epoch_points(metrics: Mapping[str, Any], time: float) -> list[Point]:
    """One epoch's numbers, step = epoch."""
    step = int(metrics["epoch"])
    return [
        Point(name, float(value), step, time)
        for name, value in metrics.items()
        if name != "epoch" and isinstance(value, int | float) and math.isfinite(value)
    ]


def summary_points(run: Run, time: float) -> list[Point]:
    """`last/test_top1` and the like: the papers' mean and std over the last epochs."""
    points = []
    for name, estimate in (run.get("last") or {}).items():
        flat = f"last/{name.replace('/', '_')}"
        points.append(Point(flat, float(estimate["mean"]), 0, time))
        points.append(Point(f"{flat}_std", float(estimate["std"]), 0, time))
    return points


def datasets_of(run: Run, inputs: Mapping[str, str], known: dict[str, str]) -> list[DatasetInput]:
    """The image sets that this run read, under DVC's digests, with what each was for.

    MLflow takes 36 characters, so our own digest stands in full in the input's tag.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    found = []
    for path, own in inputs.items():
        context = _context(run, path)
        if context is None:
            continue
        source = json.dumps({"path": path, "dvc": known.get(path), "digest": own})
        name = "/".join(PurePosixPath(path).parts[-2:])
        dataset = Dataset(
            name=name, digest=dataset_digest(path, own, known), source_type="dvc", source=source
        )
        tags = {"mlflow.data.context": context, DIGEST: own}
        if path in known:
            tags["dvc.md5"] = known[path]
        found.append(DatasetInput(dataset, [InputTag(key, text) for key, text in tags.items()]))
    return found


def begin(store: Store, run: Run, origin: RunOrigin, *, parent: str, known: dict[str, str]) -> str:
    """Create the MLflow run with all that is known before its first epoch; return its id."""
    tags = tags_of(run, origin, parent) | {INPUTS: json.dumps(dict(origin.inputs))}
    created = store.client.create_run(
        store.experiment(run["recipe"]),
        start_time=round(origin.start * 1000),
        run_name=run_name_of(run),
        tags=tags,
    )
    run_id = str(created.info.run_id)
    store.write(run_id, params=params_of(run, origin.params))
    datasets = datasets_of(run, origin.inputs, known)
    if datasets:
        store.client.log_inputs(run_id, datasets)
    return run_id


def _context(run: Run, path: str) -> str | None:
    parts = PurePosixPath(path).parts
    if parts[:2] != ("artifacts", "sets"):
        return None
    if parts[-1] in ("val", "test"):
        return "evaluation"
    if run["experiment"] == "fidelity":  # nothing learns there
        return "evaluation" if parts[-1] in (run["set"], "train") else None
    learned = str(run.get("set")).split("+")  # a mixed source is two sets
    if run["experiment"] == "tune":  # a trial's set is the synthetic one; the real images join it
        learned.append("train")
    if parts[-1] in learned or (run["experiment"] in MADE_FROM_CORPUS and parts[-1] == "corpus"):
        return "training"
    return "donor" if parts[-1] == run.get("donor_set") else None


def _flat(prefix: str, section: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}.{name}", value)
        else:
            yield f"{prefix}.{name}", value

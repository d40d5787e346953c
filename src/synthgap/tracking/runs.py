"""A run in MLflow: params, tags, metrics, and datasets under DVC's digests."""

from __future__ import annotations

import getpass
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from synthgap.errors import TrackingError
from synthgap.tracking.store import MetricPoint, TrackingStore
from synthgap.tracking.trials import (
    is_trial,
    source_of,
    tag_text,
    trial_name,
    trial_params,
    trial_tags,
)

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput


MAX_LENGTH = 36  # of a dataset's digest in MLflow: `<md5 in hex>.dir` fits exactly


def dvc_digests(root: Path) -> dict[str, str]:
    """Map each tracked path to its md5, from `dvc.lock` (outputs) and `data.dvc`.

    Raises:
        TrackingError: one of the files is not what DVC writes.
    """
    digests: dict[str, str] = {}
    for out in _read_yaml(root / "data.dvc").get("outs", []):
        _add_digest(digests, out)
    stages = _read_yaml(root / "dvc.lock").get("stages", {}).values()
    for stage in stages:
        for dependency in stage.get("deps", []):  # parts of data/ that no stage puts out
            _add_digest(digests, dependency)
    for stage in stages:
        for out in stage.get("outs", []):
            _add_digest(digests, out)
    return digests


def dataset_digest(path: str, own: str, digests: dict[str, str]) -> str:
    """DVC's digest of `path`, or the head of our own where DVC does not know it yet."""
    return digests.get(path, own)[:MAX_LENGTH]


def _add_digest(digests: dict[str, str], entry: dict[str, Any]) -> None:
    if "md5" in entry:
        digests[str(entry["path"])] = str(entry["md5"])


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return {}
    return _parse_yaml(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _parse_yaml(path: Path, _mtime_ns: int, _size: int) -> dict[str, Any]:
    """The file's content, parsed once as long as it stays: a lock of 60 cells takes seconds."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise TrackingError(f"{path}: not YAML ({error}); restore it with git") from error
    if not isinstance(content, dict):
        raise TrackingError(f"{path}: expected what DVC writes; restore it with git")
    return content


RunRecord = Mapping[str, Any]
DIGEST_TAG, CONTENT_TAG, EPOCHS_TAG = "synthgap.digest", "synthgap.content", "synthgap.epochs"
INPUTS_TAG = "synthgap.inputs"  # every path that went in, with its whole digest
PARAM_KEYS = (
    *("student", "source", "set", "donor_set", "direction", "arm", "depth", "fraction"),
    *("ablation", "variant", "generator", "scheme", "guidance_scale", "steps", "seed"),
    *("protocol", "method", "init", "num_real_images", "num_synthetic_images"),
    *("num_images", "num_steps", "peak_lr", "probe_labels"),
)
PARAM_SECTIONS = ("student", "training")
TAG_KEYS = (
    *("experiment", "recipe", "ablation", "variant", "direction", "arm", "depth", "fraction"),
    *("seed", "source", "set", "generator", "scheme", "protocol", "method", "init"),
)
CORPUS_EXPERIMENTS = (
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


def params_of(run: RunRecord, sections: Mapping[str, Any]) -> dict[str, str]:
    """The cell's coordinates, the labels used, and the flattened student and training sections."""
    values = {name: run[name] for name in PARAM_KEYS if run.get(name) is not None}
    for name, count in (run.get("real_labels") or {}).items():
        values[f"real_labels.{name}"] = "unknown" if count is None else count
    for section in PARAM_SECTIONS:
        values |= dict(_flatten(section, sections.get(section) or {}))
    values |= trial_params(run, values)
    return {name: tag_text(value) for name, value in values.items()}


def run_name_of(run: RunRecord) -> str:
    """The run's name in MLflow; an ablation's begins with what is changed."""
    if is_trial(run):
        return trial_name(run)
    words = [run.get("ablation") or "", *str(run["name"]).split(" ")]
    return " ".join(word for word, _ in groupby(words) if word)


def tags_of(run: RunRecord, origin: RunOrigin, parent: str | None) -> dict[str, str]:
    """Coordinates to filter by, and whose run it is."""
    tags = {name: tag_text(run[name]) for name in TAG_KEYS if run.get(name) is not None}
    tags |= trial_tags(run)
    tags |= {
        DIGEST_TAG: run["digest"],
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


def epoch_points(metrics: Mapping[str, Any], time: float) -> list[MetricPoint]:
    """One epoch's numbers, step = epoch."""
    step = int(metrics["epoch"])
    return [
        MetricPoint(name, float(value), step, time)
        for name, value in metrics.items()
        if name != "epoch" and isinstance(value, int | float) and math.isfinite(value)
    ]


def summary_points(run: RunRecord, time: float) -> list[MetricPoint]:
    """`last/test_top1` and the like: the papers' mean and std over the last epochs."""
    points = []
    for name, estimate in (run.get("last") or {}).items():
        flat = f"last/{name.replace('/', '_')}"
        points.append(MetricPoint(flat, float(estimate["mean"]), 0, time))
        points.append(MetricPoint(f"{flat}_std", float(estimate["std"]), 0, time))
    return points


def datasets_of(
    run: RunRecord, inputs: Mapping[str, str], digests: dict[str, str]
) -> list[DatasetInput]:
    """The image sets that this run read, under DVC's digests, with what each was for.

    MLflow takes 36 characters, so our own digest stands in full in the input's tag.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    found = []
    for path, own in inputs.items():
        context = _dataset_context(run, path)
        if context is None:
            continue
        source = json.dumps({"path": path, "dvc": digests.get(path), "digest": own})
        name = "/".join(PurePosixPath(path).parts[-2:])
        dataset = Dataset(
            name=name, digest=dataset_digest(path, own, digests), source_type="dvc", source=source
        )
        tags = {"mlflow.data.context": context, DIGEST_TAG: own}
        if path in digests:
            tags["dvc.md5"] = digests[path]
        found.append(DatasetInput(dataset, [InputTag(key, text) for key, text in tags.items()]))
    return found


def create_run(
    store: TrackingStore, run: RunRecord, origin: RunOrigin, *, parent: str, digests: dict[str, str]
) -> str:
    """Create the MLflow run with all that is known before its first epoch; return its id."""
    tags = tags_of(run, origin, parent) | {INPUTS_TAG: json.dumps(dict(origin.inputs))}
    created = store.client.create_run(
        store.experiment(run["recipe"]),
        start_time=round(origin.start * 1000),
        run_name=run_name_of(run),
        tags=tags,
    )
    run_id = str(created.info.run_id)
    store.write(run_id, params=params_of(run, origin.params))
    datasets = datasets_of(run, origin.inputs, digests)
    if datasets:
        store.client.log_inputs(run_id, datasets)
    return run_id


def _dataset_context(run: RunRecord, path: str) -> str | None:
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
    if parts[-1] in learned or (run["experiment"] in CORPUS_EXPERIMENTS and parts[-1] == "corpus"):
        return "training"
    return "donor" if parts[-1] == run.get("donor_set") else None


def _flatten(prefix: str, section: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flatten(f"{prefix}.{name}", value)
        else:
            yield f"{prefix}.{name}", value

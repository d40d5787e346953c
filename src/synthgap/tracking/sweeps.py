"""Parent runs: one a sweep, with accuracy against depth (or labels) as its own metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from synthgap.jobs import content_digest
from synthgap.params.synthesis import SetName
from synthgap.tracking.runs import CONTENT_TAG, DIGEST_TAG, RunRecord
from synthgap.tracking.store import NOTE_TAG, MetricPoint, TrackingStore
from synthgap.tracking.trials import STUDY_CHARTS, TUNE, is_trial, source_of, study_chart

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun


SWEEP_TAG, SUPERSEDED_TAG = "synthgap.sweep", "synthgap.superseded"
PARENT_TAG = "mlflow.parentRunId"
CHARTS = {"accuracy": "test/top1", "val_accuracy": "val/top1", "probe": "probe/top1"}
SWEEP_NOTES = {
    "train": "Students from scratch, one child a source and seed. `accuracy/<set>` compares the "
    "sources: `train` is real, `corpus` is what the generator has seen, `g<scale>` is synthetic. "
    "`probe/<set>` is what linear probes of their frozen features get right.",
    "transfer": "Freeze the first N units of a donor, relearn the rest on the other source. Look "
    "at the model metrics: `accuracy/synthetic_to_real` and `accuracy/real_to_synthetic` against "
    "the step, which is the depth N.",
    "control": "The same cut within one source: what freezing itself costs. `accuracy/"
    "real_to_real` and `accuracy/synthetic_to_synthetic` against the step, which is the depth N.",
    "reduce": "Ever fewer real labels: from scratch, all layers fine-tuned from the synthetic "
    "donor, and over its frozen prefixes. `accuracy/scratch`, `accuracy/finetune` and "
    "`accuracy/prefix_n<depth>` against the step, which is 1/fraction (1 = all labels).",
    "ablate": "One change at a time beside the students of `train`. `accuracy/<ablation>/<variant>_"
    "<set>` compares the changes; of mixed sources and chosen subsets the step is the depth or "
    "1/fraction.",
    "clone": "Does the generator's setting matter? A child a synthetic set, share of it and seed. "
    "`accuracy/<set>` and `probe/<set>` (linear probes of the frozen features, learned from real "
    "images) against the step, which is the number of training images. Whole sets that `train` has "
    "are there.",
    "guide": "Which guidance pays? A child a method and seed. `accuracy/<protocol>/<method>` "
    "compares the methods: zero-shot ones with `synthetic`, low-shot ones with `pooled`. `bound` "
    "has all real labels, `real` the few ones alone. Each child says how many real labels its "
    "method was given.",
    "gap": "Which synthetic images to add to the real ones? `accuracy/sampling/<variant>_<set>`: "
    "those that a real-trained student finds easiest, hardest, or as many at random, beside the "
    "real images alone of `train`. gap.json and sheets of these images are among the artifacts.",
    "references": "Networks that guide, learned without labels; a child each, its losses and the "
    "accuracy of its pretext against the step.",
    "fidelity": "How close each synthetic set is to real images, before any student: a child a set "
    "and one of real images for reference. `fidelity/<metric>` is the set's, `class/<metric>` "
    "each class's against the step, which is its label. Contact sheets are among the artifacts.",
    "tune": "A study: one child a trial, and one a run of its finals. `trials/<objective>` and the "
    "best so far, `best/<objective>`, against the trial's number. The tag `trial.state` says "
    "complete, pruned or failed, `trial.kind` where the values come from, and the params `tuned.*` "
    "what was tried: compare them. The page and its figures are among the artifacts.",
    "judge": "The classifier that labels, filters and judges synthetic images; its child's losses "
    "against the step.",
    "rivals": "Training of generators beside the recipe's own; a child each, its losses against "
    "the step.",
    "generator": "The text-to-image pipeline's training; its child's losses against the step.",
    "teacher": "The CLIP teacher's training; its child's losses against the step.",
    "stylise": "The style networks' training; its child's losses against the step.",
    "oracle": "The image-conditioned pipeline's training; its child's losses against the step.",
}


@dataclass(frozen=True)
class Sweep:
    """The runs of one experiment that share every parameter but the cells' coordinates."""

    recipe: str
    experiment: str
    digest: str
    study: str = ""  # whose trials these are


def sweep_of(run: RunRecord, params: Mapping[str, Any]) -> Sweep:
    """The sweep a run belongs to: other parameters, another parent; a study's own is its plan's."""
    recipe, experiment = str(run["recipe"]), str(run["experiment"])
    if is_trial(run):
        return Sweep(recipe, experiment, str(run["plan"]), str(run["study"]))
    shared = {name: section for name, section in params.items() if name != "protocol"}
    identity = {"recipe": recipe, "experiment": experiment, "params": shared}
    return Sweep(recipe, experiment, content_digest(identity))


def sweep_points(runs: Sequence[RunRecord]) -> dict[tuple[str, int], float]:
    """Mean over seeds of the last epochs' top-1 in percent, by (metric name, step).

    The step is the depth where units are frozen, 1/fraction where labels are reduced, the number
    of images of a clone, 0 else. `probe/<line>` is what linear probes of the students get right.
    A study has its own charts, against the trial's number.
    """
    if runs and is_trial(runs[0]):
        return study_chart(runs)
    scores: dict[tuple[str, int], list[float]] = defaultdict(list)
    for run in runs:
        for kind, score in CHARTS.items():
            if score in run.get("last", {}):
                line, step = _point_place(run)
                scores[f"{kind}/{line}", step].append(float(run["last"][score]["mean"]))
    return {key: round(fmean(values), 4) for key, values in sorted(scores.items())}


def begin_sweep(store: TrackingStore, sweep: Sweep, *, start: float) -> str:
    """Create the parent run; return its id."""
    tags = {
        SWEEP_TAG: sweep.digest,
        "recipe": sweep.recipe,
        "experiment": sweep.experiment,
        "mlflow.source.name": source_of({"experiment": sweep.experiment, "study": sweep.study}),
        "mlflow.source.type": "LOCAL",
        NOTE_TAG: SWEEP_NOTES.get(sweep.experiment, f"Runs of the {sweep.experiment} experiment."),
    }
    tags |= {"study": sweep.study} if sweep.study else {}
    created = store.client.create_run(
        store.experiment(sweep.recipe),
        start_time=round(start * 1000),
        run_name=sweep.study or sweep.experiment,
        tags=tags,
    )
    return str(created.info.run_id)


def find_sweep(store: TrackingStore, sweep: Sweep) -> MlflowRun | None:
    """The sweep's current parent run, if there is one."""
    found = store.client.search_runs(
        [store.experiment(sweep.recipe)],
        f"tags.`{SWEEP_TAG}` = '{sweep.digest}'",
        order_by=["attributes.start_time DESC"],
    )
    current = [run for run in found if SUPERSEDED_TAG not in run.data.tags]
    return merge_parents(store, current) if current else None


def merge_parents(store: TrackingStore, parents: Sequence[MlflowRun]) -> MlflowRun:
    """The one parent of a sweep, whose children of others move to it.

    Two machines that begin a study at the same moment may each have made one: MLflow has no way
    to make a run unless it is there.
    """
    first, *others = sorted(parents, key=lambda run: (run.info.start_time, run.info.run_id))
    for other in others:
        _move_children(store, other, first.info.run_id)
        store.client.delete_run(other.info.run_id)
    return first


def finish_sweep(
    store: TrackingStore, run_id: str, points: Mapping[tuple[str, int], float]
) -> None:
    """Write the curve and close the parent.

    A chart has one value at a step, so only points that the parent lacks may be in `points`.
    """
    run = store.client.get_run(run_id)
    start = run.info.start_time / 1000
    store.write(
        run_id, [MetricPoint(name, value, step, start) for (name, step), value in points.items()]
    )
    store.client.set_terminated(run_id, "FINISHED")


def chart_points(store: TrackingStore, run: MlflowRun) -> dict[tuple[str, int], float]:
    """What the parent's charts show now."""
    kinds = tuple(f"{kind}/" for kind in (*CHARTS, *STUDY_CHARTS))
    names = [name for name in run.data.metrics if name.startswith(kinds)]
    return {
        (name, metric.step): metric.value
        for name in names
        for metric in store.client.get_metric_history(run.info.run_id, name)
    }


def update_sweep(
    store: TrackingStore,
    parent: MlflowRun,
    runs: Sequence[RunRecord],
    children: Sequence[str],
    more: Mapping[tuple[str, int], float],
) -> str:
    """Make the parent's charts say what `runs` say, and `more`; return the id of the parent.

    MLflow cannot take back a point, so where a value changed a new parent takes the children over
    and the old one keeps what is no longer in any output; that of a study is deleted instead.
    """
    wanted, run_id = sweep_points(runs) | dict(more), str(parent.info.run_id)
    content = content_digest({f"{name}@{step}": value for (name, step), value in wanted.items()})
    if parent.data.tags.get(CONTENT_TAG) == content and parent.info.status == "FINISHED":
        return run_id
    points = chart_points(store, parent)
    if _is_study(parent):  # a trial may be logged live before it is in any record
        points = {key: value for key, value in points.items() if key in wanted}
    if any(wanted.get(key) != value for key, value in points.items()):
        run_id = _replace_parent(store, parent)
        for child in filter(None, children):
            store.write(child, tags={PARENT_TAG: run_id})
        points = {}
    missing = {key: value for key, value in wanted.items() if key not in points}
    finish_sweep(store, run_id, missing)
    store.write(run_id, tags={CONTENT_TAG: content})
    return run_id


def _sweep_of_parent(parent: MlflowRun) -> Sweep:
    tags = parent.data.tags
    return Sweep(tags["recipe"], tags["experiment"], tags[SWEEP_TAG], tags.get("study", ""))


def _replace_parent(store: TrackingStore, parent: MlflowRun) -> str:
    """A parent without points, in place of one that is put aside."""
    sweep, old = _sweep_of_parent(parent), str(parent.info.run_id)
    if not _is_study(parent):
        name = f"{sweep.experiment} (older)"
        store.write(old, tags={SUPERSEDED_TAG: "true", "mlflow.runName": name})
    run_id = begin_sweep(store, sweep, start=parent.info.start_time / 1000)
    if _is_study(parent):  # which has one parent
        _move_children(store, parent, run_id)
        store.client.delete_run(old)
    return run_id


def _is_study(parent: MlflowRun) -> bool:
    return bool(parent.data.tags["experiment"] == TUNE)


def _move_children(store: TrackingStore, parent: MlflowRun, to: str) -> None:
    """Hang every run under another parent."""
    place = f"tags.`{PARENT_TAG}` = '{parent.info.run_id}'"
    for child in store.client.search_runs([parent.info.experiment_id], place, max_results=1000):
        store.write(child.info.run_id, tags={PARENT_TAG: to})


def _point_place(run: RunRecord) -> tuple[str, int]:
    if not run.get("ablation"):
        return _series_place(run)
    line, step = _series_place(run)
    variant = str(run["variant"]).replace(" ", "_")
    if run["experiment"] == "gap":  # beside real images, sets of more than one guidance scale
        return f"{run['ablation']}/{variant}_{line.partition('+')[2]}", step
    if "+" in line:  # a mixed source, whose name MLflow does not take
        return f"{run['ablation']}/{variant}", step
    return f"{run['ablation']}/{variant}_{line}", step


def _series_place(run: RunRecord) -> tuple[str, int]:
    if run.get("arm"):
        depth = f"_n{run['depth']}" if run.get("depth") else ""
        return f"{run['arm']}{depth}", round(1 / run["fraction"])
    if run.get("direction"):
        return str(run["direction"]).replace("->", "_to_"), int(run["depth"])
    if run["experiment"] == "guide":
        return f"{run['protocol']}/{run['method']}", 0
    if run["experiment"] == "clone":
        return _without_size(str(run["set"])), int(run["num_images"])
    return str(run["set"]), 0


def _without_size(name: str) -> str:
    """Name a set without the factor of its size, which is the step of its line."""
    named = SetName.parse(name)
    return name.rpartition("-x")[0] if named is not None and named.factor is not None else name


def delete_replaced(store: TrackingStore, parent: str, runs: Sequence[RunRecord]) -> None:
    """Delete children of a study that have the slot of one of its recorded runs and are none.

    Those that run now stay, and so do trials that were logged live and are not recorded yet.
    """
    recorded = {run["digest"] for run in runs}
    taken = {(str(run["trial"]), run["kind"], str(run["seed"])) for run in runs}
    place = [store.experiment(str(runs[0]["recipe"]))]
    for child in store.client.search_runs(
        place, f"tags.`{PARENT_TAG}` = '{parent}'", max_results=1000
    ):
        tags = child.data.tags
        slot = (tags.get("trial.number"), tags.get("trial.kind"), tags.get("seed"))
        if (
            slot in taken
            and tags.get(DIGEST_TAG) not in recorded
            and child.info.status != "RUNNING"
        ):
            store.client.delete_run(child.info.run_id)

"""What MLflow records of a study's trials: values and states of each, and the study's charts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from synthgap.params.studies import SMALLER
from synthgap.tracking.store import MetricPoint

RunRecord = Mapping[str, Any]
ChartPoints = dict[tuple[str, int], float]
TUNE = "tune"  # experiment of every study, and the name of the pipeline's own
FINAL_KIND = "final"  # kind of those that are trained again
STUDY_CHARTS = ("best", "trials", "verdict")  # charts of a study
END_KEYS = ("state", "reason", "share", "feasible", "retries")  # known at a trial's end


def is_trial(run: RunRecord) -> bool:
    """Whether the run belongs to a study."""
    return bool(run["experiment"] == TUNE)


def is_shared(run: RunRecord) -> bool:
    """Whether many machines may work on the study: those of the command line, not the stage's."""
    return is_trial(run) and run["study"] != TUNE


def status_of(run: RunRecord) -> str:
    """MLflow's word for how the run ended.

    A pruned trial is FINISHED: it did what its study wanted, and KILLED marks a run whose
    process died. The tag `trial.state` tells the two apart.
    """
    return "FAILED" if run.get("state") == "failed" else "FINISHED"


def source_of(run: RunRecord) -> str:
    """What made the run."""
    if is_shared(run):
        return f"synthgap study {run['study']}"
    return f"pipelines/{run['experiment']}.py"


def trial_params(run: RunRecord, params: Mapping[str, Any]) -> dict[str, Any]:
    """`tuned.<key>`, and each tuned key that is in `params` in place of its value."""
    tuned = run.get("tuned") or {}
    tuned = {key: "null" if value is None else value for key, value in tuned.items()}
    over = {key: value for key, value in tuned.items() if key in params}
    return {**over, **{f"tuned.{key}": value for key, value in tuned.items()}}


def trial_name(run: RunRecord) -> str:
    """Name of a trial in the list of runs, where a pruned one looks like a complete one."""
    return f"{run['name']} pruned" if run.get("state") == "pruned" else str(run["name"])


def trial_tags(run: RunRecord) -> dict[str, str]:
    """Number and kind of a trial; how it ended once it has."""
    if not is_trial(run):
        return {}
    details = {"number": run["trial"], "kind": run["kind"]}
    details |= {name: run[name] for name in END_KEYS if run.get(name) is not None}
    tags = {f"trial.{name}": tag_text(value) for name, value in details.items()}
    if "state" in run:
        tags["mlflow.runName"] = trial_name(run)
    return {"study": str(run["study"]), **tags}


def trial_chart(run: RunRecord) -> ChartPoints:
    """`trials/<objective>` of one complete trial, against its number."""
    if run["kind"] == FINAL_KIND or run["state"] != "complete":
        return {}
    return {
        (f"trials/{_metric_name(metric)}", int(run["trial"])): round(
            float(run["values"][metric]), 4
        )
        for metric in run["objectives"]
    }


def study_chart(runs: Sequence[RunRecord]) -> ChartPoints:
    """The trials' objectives, and the best so far of the first, against the trial's number.

    The best goes up to the first trial that has not ended, so that no point is ever taken back.
    """
    trials = {int(run["trial"]): run for run in runs if run["kind"] != FINAL_KIND}
    found: ChartPoints = {}
    for run in trials.values():
        found |= trial_chart(run)
    best: float | None = None
    for number in range(len(trials)):
        if number not in trials:
            break
        run = trials[number]
        metric = str(run["objectives"][0])
        if run["state"] == "complete" and run["feasible"]:
            value = float(run["values"][metric])
            better = best is None or (value < best if metric in SMALLER else value > best)
            best = value if better else best
        if best is not None:
            found[f"best/{_metric_name(metric)}", number] = round(best, 4)
    return found


def verdict_chart(study: Mapping[str, Any]) -> ChartPoints:
    """The winner and the default on the images that no trial saw, as run.json has them."""
    verdict = study.get("verdict")
    if verdict is None:
        return {}
    metrics = {"winner_top1": verdict["winner_top1"]["mean"]}
    metrics["default_top1"] = verdict["default_top1"]["mean"]
    metrics |= {
        name if name != "mean" else "difference": verdict["difference"].get(name)
        for name in ("mean", "low", "high")
    }
    return {
        (f"verdict/{name}", 0): round(float(value), 4)
        for name, value in metrics.items()
        if value is not None
    }


def study_tags(study: Mapping[str, Any]) -> dict[str, str]:
    """What a study asks for, spends and has found, to filter parents by; of no study nothing."""
    if not study:
        return {}
    objectives = [one["metric"] for one in study["objectives"]]
    tags: dict[str, Any] = {
        "study.method": study["method"],
        "study.objectives": ", ".join(objectives),
        "study.trials": study["trials"],
        **{f"study.{state}": count for state, count in study["counts"].items()},
        **{f"real_labels.{name}": count for name, count in study["labels"].items()},
        "study.data_free": study["data_free"],
        "study.best": study["best"] if study["best"] is not None else study["pareto"] or None,
        "study.winner": study["winner"] and study["winner"]["trial"],
    }
    tags |= {
        f"winner.{key}": value for key, value in (study["winner"] or {"tuned": {}})["tuned"].items()
    }
    return {name: "unknown" if value is None else tag_text(value) for name, value in tags.items()}


def study_note(study: Mapping[str, Any]) -> str:
    """What a study spent and found, in sentences."""
    labels = study["labels"]
    sentences = [
        f"{study['counts']['complete']} of {study['trials']} trials are complete, "
        f"{study['counts']['pruned']} pruned, {study['counts']['failed']} failed.",
        f"The objectives use {labels['objective']} real labels of `val`; a trial "
        f"{_count(labels['student'])}, its generator {_count(labels['generator'])}, its references "
        f"{_count(labels['reference'])}.",
    ]
    if study["winner"]:
        tuned = ", ".join(f"`{key}` {value}" for key, value in study["winner"]["tuned"].items())
        sentences.append(f"The winner of the finals is trial {study['winner']['trial']}: {tuned}.")
    verdict = study.get("verdict")
    if verdict is not None:
        found, difference = verdict["difference"], f"{verdict['difference']['mean']:+.2f} points"
        if found.get("low") is not None:
            difference += f" [{found['low']:+.2f}, {found['high']:+.2f}]"
        sentences.append(
            f"On images that no trial saw: {verdict['winner_top1']['mean']:.2f} against "
            f"{verdict['default_top1']['mean']:.2f} of the default, {difference} over "
            f"{len(verdict['seeds'])} seeds."
        )
    return " ".join(sentences)


def points_of(places: ChartPoints, time: float) -> list[MetricPoint]:
    """Points of a chart, all of one moment (seconds since 1970)."""
    return [MetricPoint(name, value, step, time) for (name, step), value in places.items()]


def tag_text(value: object) -> str:
    """A param or tag as MLflow takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _count(labels: int | None) -> str:
    return "nobody knows how many" if labels is None else str(labels)


def _metric_name(metric: str) -> str:
    return metric.replace("/", "_")

"""What a study keeps of each trial, as rows, and as lines of JSON that survive a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from synthgap.errors import ParamsError
from synthgap.experiments.runs.spec import scale_of
from synthgap.jobs import Log, content_digest
from synthgap.params.reading import section_dict
from synthgap.studies.trials.plan import StudyPlan


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Every whole line; what a killed process left half written behind them is cut off."""
    if not path.is_file():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """Append one row, on the disk when this returns; NaN is refused with ValueError."""
    line = json.dumps(row, allow_nan=False, ensure_ascii=False)
    with path.open("ab") as stream:
        stream.write(line.encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


Row = Mapping[str, Any]
EventLogger = Callable[[Mapping[str, Any]], None]
"""Its events: `start` with the trial's head, `epoch` with metrics, `end` with its whole row.

Every event names the trial's `digest`. A trial that is given back ends in state `killed`.
"""
STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "killed": "KILLED"}


def head(
    plan: StudyPlan, slot: int, kind: str, tuned: Mapping[str, object], *, seeds: Sequence[int]
) -> dict[str, Any]:
    """What is known of a trial before its first epoch; its digest is of all that determines it.

    A trial that a killed worker had begun has the same digest where it has the same values.
    """
    base, study = plan.base, plan.study
    name = f"{plan.name} t{slot:02d}"
    if kind == "final":
        name += f" s{seeds[0]}"
    return {
        "digest": content_digest(
            {"plan": plan.digest, "trial": slot, "kind": kind, "tuned": tuned, "seeds": [*seeds]}
        ),
        "plan": plan.digest,
        "experiment": "tune",
        "recipe": base.recipe,
        "study": plan.name,
        "student": base.student.model,
        "name": name,
        "trial": slot,
        "kind": kind,
        "objectives": [*study.objectives],
        "tuned": dict(tuned),
        "seed": seeds[0],
        "seeds": [*seeds],
        "protocol": study.protocol,
        "method": study.method,
        "init": base.protocols[study.protocol].init,
        **_set_of(plan, tuned),
    }


def event_logger(plan: StudyPlan, log: Log) -> EventLogger:
    """Return a logger that logs a trial as every other run is logged: live, into MLflow's spool."""
    params = {
        "student": section_dict(plan.base.student),
        "training": section_dict(plan.base.training),
    }

    def log_event(event: Mapping[str, Any]) -> None:
        kind = event["event"]
        line: dict[str, Any] = {"event": kind}
        if kind == "start":
            line |= {"run": event["run"], "inputs": dict(plan.inputs), "params": params}
        elif kind == "epoch":
            line["metrics"] = event["metrics"]
        else:
            run = {name: value for name, value in event["run"].items() if name != "epochs"}
            line |= {"status": STATUS[str(run["state"])], "run": run}
        log(str(event["digest"]), line)

    return log_event


def _set_of(plan: StudyPlan, tuned: Mapping[str, object]) -> dict[str, Any]:
    """The synthetic set that the values name; of values that contradict each other, none."""
    try:
        name = plan.settings(tuned).guide.image_set
    except ParamsError:
        return {"set": None, "source": "mixed", "guidance_scale": None}
    return {"set": name, "source": "mixed", "guidance_scale": scale_of(name)}

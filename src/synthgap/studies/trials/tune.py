"""Stage `tune`: a study by one worker, in order, on train and val; then its finals and its verdict.

What trials start from is a recipe's, since `synthgap study apply` writes into params.yaml and the
stage must not run again for it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from synthgap.errors import ParamsError, TrainingError
from synthgap.experiments.settings import TUNED, require_tune_base, tune_base
from synthgap.jobs import Artifacts, Log, Work, hold, read_json, write_json
from synthgap.params.overriding import overridden
from synthgap.params.reading import section_dict
from synthgap.params.sections import Data, Params, Prompts, Runtime, Student, Synthesize, Tune
from synthgap.params.spaces import space_problems
from synthgap.studies.trials.budget import planned_trials
from synthgap.studies.trials.finals import final_results, final_round, winner
from synthgap.studies.trials.plan import Attempt, StudyPlan
from synthgap.studies.trials.record import run_record, study_record, trial_rows
from synthgap.studies.trials.rows import EventLogger, append_line, event_logger, read_lines
from synthgap.studies.trials.sequential import search
from synthgap.studies.trials.setup import STAGE, open_attempt, surroundings
from synthgap.studies.trials.verdict import verdict

"""Sections that the stage does not read from params.yaml, so that `apply` may write there."""
TRIALS, FINALS, VERDICT, FINISHED = "trials.jsonl", "finals.jsonl", "verdict.json", "finished"


@dataclass(frozen=True)
class TuneParams:
    """What stage `tune` reads of params.yaml."""

    seed: int
    runtime: Runtime
    data: Data
    prompts: Prompts
    synthesize: Synthesize
    student: Student
    tune: Tune


def tune(params: TuneParams, artifacts: Artifacts, log: Log) -> None:
    """Write run.json of the study; a killed one goes on where it was, and ends as it would have.

    Raises:
        SynthgapError: the study cannot be searched, what its trials read is missing, or no trial
            could be made.
    """
    plan, attempt = open_attempt(stage_plan(params, artifacts), artifacts)
    about = surroundings(plan, artifacts)
    identity = {
        "experiment": STAGE,
        "recipe": artifacts.recipe,
        "plan": plan.content,
        "params": {"tune": section_dict(params.tune)},
        "environment": about["environment"],
    }
    output = artifacts.stage(STAGE)
    with hold(artifacts.work, identity, output, stage=STAGE) as work:
        if work.finished:
            return
        log_event = _printing(event_logger(plan, log))
        rows = trial_rows(plan, search(plan, attempt, work.folder / TRIALS, log_event))
        _check_made(plan, rows)
        finals = _finals(plan, rows, attempt, work.folder / FINALS, log_event)
        stands = final_results(plan, rows, finals)
        judged = _verdict(plan, winner(plan, rows, stands), artifacts, work)
        study_content = study_record(plan, rows, stands, judged, num_val=about["num_val"])
        about = {"environment": about["environment"], "params": identity["params"]}
        finished = work.folder / FINISHED
        write_json(finished / "run.json", run_record(plan, [*rows, *finals], study_content, about))
        work.publish(finished)


def stage_plan(params: TuneParams, artifacts: Artifacts) -> StudyPlan:
    """The stage's study: `training`, `guide` and `protocols` of its base recipe, the rest as given.

    Raises:
        ParamsError: its space or its settings have a key that the stage itself reads, or that
            cannot be tuned, or there is no such recipe.
    """
    section = params.tune
    for place, keys in (("study.space", section.study.space), ("settings", section.settings)):
        own = [key for key in keys if key.partition(".")[0] not in TUNED]
        if own:
            raise ParamsError(
                f"params.yaml, tune.{place}: {', '.join(own)}, expected keys of "
                f"{', '.join(TUNED)}: the stage reads others itself, and would run again when "
                "`synthgap study apply tune` writes them; tune these by a study of `studies`"
            )
    base = overridden(
        _base(params, artifacts), section.settings, place="params.yaml, tune.settings"
    )
    problems = list(space_problems(base, section.study))
    if problems:
        raise ParamsError(f"params.yaml, tune.study: {'; '.join(problems)}")
    plan = StudyPlan(STAGE, section.study, base)
    planned_trials(plan)
    return plan


def _base(params: TuneParams, artifacts: Artifacts) -> Params:
    recipe = tune_base(params.tune, artifacts)
    require_tune_base(recipe, artifacts)
    given = {item.name: getattr(params, item.name) for item in fields(TuneParams)}
    return replace(recipe, recipe=artifacts.recipe, **given)


def _check_made(plan: StudyPlan, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a search that has found nothing.

    Raises:
        TrainingError: no trial is complete.
    """
    if all(row["state"] != "complete" for row in rows):
        raise TrainingError(
            f"study {plan.name}: none of {len(rows)} trials could be made, expected one at least; "
            f"the first one failed: {rows[0]['reason']}"
        )


def _finals(
    plan: StudyPlan,
    rows: Sequence[Mapping[str, Any]],
    attempt: Attempt,
    kept: Path,
    log_event: EventLogger,
) -> list[dict[str, Any]]:
    """The runs of the finals; `kept` is the file of those that have ended."""
    for row in final_round(plan, rows, attempt, done=tuple(read_lines(kept)), log_event=log_event):
        append_line(kept, row)
    return read_lines(kept)


def _verdict(
    plan: StudyPlan, first: Mapping[str, Any] | None, artifacts: Artifacts, work: Work
) -> dict[str, Any]:
    """The verdict, made once."""
    assert first is not None, "there is a final round"
    path = work.folder / VERDICT
    if not path.is_file():
        write_json(path, verdict(plan, first, artifacts))
    return dict(read_json(path))


def _printing(log_event: EventLogger) -> EventLogger:
    """Also print a line when a trial has ended."""

    def both(event: Mapping[str, Any]) -> None:
        log_event(event)
        if event["event"] == "end":
            run = event["run"]
            reason = f" ({run['reason']})" if run.get("reason") else ""
            values = [f"{name} {value:.4g}" for name, value in run.get("values", {}).items()]
            sys.stdout.write(f"{run['name']}: {', '.join([run['state'] + reason, *values])}\n")
            sys.stdout.flush()

    return both

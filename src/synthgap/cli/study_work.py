"""`synthgap study run | resume | work`: trials, a line each as they end, then the closing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synthgap.cli.study_place import StudyPlace
from synthgap.params.studies import LABELLED, Study

if TYPE_CHECKING:
    from synthgap.studies.session import Session
    from synthgap.studies.trials.plan import StudyPlan
    from synthgap.studies.trials.rows import EventLogger

INTERRUPTED = 130


def run(section: str, called: str | None, *, trials: int | None, storage: str | None) -> int:
    """Make the study that params.yaml describes and work on it to its end."""
    from synthgap.studies.session import begin, planned, refuse_existing

    place, name = StudyPlace.here(storage), called or section
    plan = planned(place.params, section, name=name, trials=trials)
    refuse_existing(name, section, place.artifacts, place.storage)
    session = begin(plan, section, place.artifacts, place.storage)
    for line in statement(session, place):
        _say(line)
    return _to_the_end(session, place)


def resume(name: str, *, storage: str | None) -> int:
    """Work on a study that is there, beside its other workers if there are any."""
    from synthgap.studies.finalise import is_finalised
    from synthgap.studies.session import refuse_stage, reopen
    from synthgap.studies.storage import load_study
    from synthgap.studies.trials.setup import STAGE

    if name == STAGE:
        refuse_stage()
    place = StudyPlace.here(storage)
    if not place.is_kept(name):
        raise place.unknown(name)
    study = load_study(name, place.artifacts.recipe, place.storage)
    if is_finalised(study):  # params.yaml may say something else by now, such as what it found
        _say(f"study {name}: every trial has ended and the winner is known; nothing is left to do")
        return _print_results(name, place)
    session = reopen(place.params, name, place.artifacts, place.storage)
    _say(_progress(session))
    return _to_the_end(session, place)


def statement(session: Session, place: StudyPlace) -> list[str]:
    """What is about to be done, and what it will take."""
    plan, study = session.plan, session.plan.study
    seeds = "1 seed" if len(study.seeds) == 1 else f"{len(study.seeds)} seeds"
    shares = ", ".join(f"{100 * share:g} %" for share in study.shares)
    return [
        f"study {plan.name} ({place.artifacts.recipe}): {study.trials} trials of {study.method} "
        f"under protocol {study.protocol}, {seeds} each, on {shares} of the synthetic images; "
        f"sampler {study.sampler}, pruner {study.pruner}",
        f"searched: {', '.join(study.space)}",
        f"kept in {place.masked_url}; `synthgap study work --study {plan.name}` adds a worker",
        _sets(plan, session),
        labels_line(study, int(session.study.user_attrs["about"]["num_val"])),
    ]


def labels_line(study: Study, num_val: int) -> str:
    """The real labels that the study's objective uses."""
    from synthgap.reporting.studies_names import metric_word

    asked = dict.fromkeys([*study.objectives, *study.constraints])
    names = " and ".join(metric_word(name) for name in asked if name in LABELLED)
    if not names:
        return f"labels: {' and '.join(map(metric_word, asked))} spends no real label of val"
    return (
        f"labels: {names} spends {num_val} real labels of val; a synthetic-only result tuned so "
        "is not data-free"
    )


def _sets(plan: StudyPlan, session: Session) -> str:
    from synthgap.studies.trials.image_sets import sets_of

    found = sets_of(plan, session.artifacts)
    there = [name for name, is_there in found.items() if is_there]
    missing = [name for name, is_there in found.items() if not is_there]
    parts = [f"{', '.join(there)} there"] if there else []
    if missing:
        parts.append(f"{', '.join(missing)} to be sampled when a trial asks for it")
    return f"synthetic sets: {'; '.join(parts)}"


def _progress(session: Session) -> str:
    from synthgap.studies.status import overview

    found = overview(session.study, session.plan)
    done, running = sum(found["counts"].values()), found["running"]
    beside = f", {running} are running" if running else ""
    return f"study {session.plan.name}: {done} of {found['budget']} trials have ended{beside}"


def _to_the_end(session: Session, place: StudyPlace) -> int:
    from synthgap.studies.finalise import finalise
    from synthgap.studies.trials.rows import event_logger
    from synthgap.tracking.live_log import open_log

    name = session.plan.name
    lines = TrialLines(session.plan)
    logged = event_logger(session.plan, open_log(place.artifacts.root))

    def log_event(event: Mapping[str, Any]) -> None:
        logged(event)
        lines.log_event(event)

    try:
        made = session.work(log_event)
        if lines.num_printed or made:
            _say(f"study {name}: this worker made {made} trial{'' if made == 1 else 's'}")
        ending = finalise(session, log_event)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nsynthgap: interrupted; {_kept(session)}\n")
        return INTERRUPTED
    if ending == "elsewhere":
        _say(
            f"study {name}: every trial has ended, and another worker does the finals and the "
            f"verdict; `synthgap study status {name}` tells, `resume {name}` where it died"
        )
        return 0
    if ending == "open":
        _say(f"study {name}: {_kept(session)}")
        return 0
    return _print_results(name, place)


def _kept(session: Session) -> str:
    from synthgap.studies.trials.queue import counted

    name, plan = session.plan.name, session.plan
    done = len(counted(session.study.get_trials(deepcopy=False)))
    return f"{done} of {plan.study.trials} trials are kept; `synthgap study resume {name}` goes on"


def _print_results(name: str, place: StudyPlace) -> int:
    from synthgap.cli.study_tell import best_lines, published

    for line in [*best_lines(place.record(name)), *published(place, name)]:
        _say(line)
    return 0


@dataclass
class TrialLines:
    """Prints one line a trial as it ends; `say` prints."""

    plan: StudyPlan
    say: Callable[[str], None] = field(default_factory=lambda: _say)
    num_printed: int = 0
    _began: dict[str, float] = field(default_factory=dict)

    @property
    def log_event(self) -> EventLogger:
        """What is called with every event of a trial."""
        return self._print_event

    def _print_event(self, event: Mapping[str, Any]) -> None:
        digest = str(event["digest"])
        if event["event"] == "start":
            self._began[digest] = time.monotonic()
        elif event["event"] == "end":
            seconds = time.monotonic() - self._began.pop(digest, time.monotonic())
            self.num_printed += 1
            self.say(trial_line(event["run"], self.plan, seconds))


def trial_line(row: Mapping[str, Any], plan: StudyPlan, seconds: float) -> str:
    """`joint t07 search complete val accuracy 91.2 % | guidance scale 1 | 12 s`."""
    from synthgap.reporting.studies_names import metric_word, score, tuned_names

    values = row.get("values") or {}
    reached = ", ".join(
        f"{metric_word(metric)} {score(metric, values.get(metric), unit=True)}"
        for metric in plan.study.objectives
    )
    if row["state"] in ("failed", "killed"):
        reached = " ".join(str(row.get("reason") or "given back").split())
    tuned = tuned_names(row["tuned"], plan.default, [*plan.study.space]) or "default values"
    share = row.get("share")
    part = f" at {100 * share:g} %" if row["state"] == "pruned" and share else ""
    head = f"{row['name']:<{len(plan.name) + 5}} {row['kind']:<7} {row['state'] + part:<8}"
    return f"{head}  {reached}  |  {tuned}  |  {seconds:.1f} s"


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the command's answer

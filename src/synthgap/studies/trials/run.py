"""One trial: a student at each share of its synthetic set, with every seed, until it is stopped."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from math import isfinite
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any, cast

from synthgap.errors import ParamsError, TrainingError
from synthgap.studies.trials.budget import PlannedTrial
from synthgap.studies.trials.plan import Attempt, AttemptReport, StudyPlan
from synthgap.studies.trials.rows import EventLogger, head
from synthgap.studies.trials.rungs import Rungs, is_prunable
from synthgap.studies.trials.space import suggested

if TYPE_CHECKING:
    from collections.abc import Generator

    import optuna
    from optuna.trial import TrialState


COMPLETE, PRUNED, FAILED, KILLED = "complete", "pruned", "failed", "killed"
UNKNOWN_LABELS = {"generator": None, "reference": None, "student": None}


@dataclass(frozen=True)
class SeedRun:
    """One seed at one share: its place among the seeds, and its epochs.

    Its readings are numbered above `start`, the last one `end` however many there are.
    """

    index: int
    epochs: int
    start: int
    end: int
    is_end: bool  # of the whole trial: nothing is left to save


@dataclass
class TrialRun:
    """A trial while it runs, and what it has so far."""

    trial: optuna.Trial
    slot: PlannedTrial
    plan: StudyPlan
    log_event: EventLogger
    about: dict[str, Any]
    share: float | None = None
    num_steps: int = 0
    epochs: list[dict[str, Any]] = field(default_factory=list)
    curves: list[dict[int, float]] = field(default_factory=list)  # of this share, one a seed
    lasts: list[Mapping[str, float]] = field(default_factory=list)  # of this share, one a seed
    facts: Mapping[str, Any] = field(default_factory=dict)
    feasible: bool = False

    def run(self, attempt: Attempt) -> str:
        """Learn at each share with every seed; return how it ended.

        Raises:
            SynthgapError: of the attempt, or an objective is no number.
        """
        own = self.plan.settings(self.about["tuned"]).guide.epochs
        trial_rungs = Rungs.of(self.plan)
        shares = trial_rungs.shares if is_prunable(self.slot.kind) else trial_rungs.shares[-1:]
        for share in shares:
            self.share, self.curves, self.lasts = share, [], []
            for index in range(trial_rungs.num_seeds):
                is_end = share == shares[-1] and index == trial_rungs.num_seeds - 1
                start = trial_rungs.before(share, index)
                seed_run = SeedRun(index, own, start, start + trial_rungs.num_epochs, is_end)
                if self._learn(attempt, seed_run):
                    return PRUNED
        self._constrain()
        return COMPLETE

    def _learn(self, attempt: Attempt, seed_run: SeedRun) -> bool:
        """Train with one seed; return whether the trial is to stop."""
        assert self.share is not None
        seed, before = self.plan.study.seeds[seed_run.index], self.num_steps
        self.curves.append({})
        last: AttemptReport | None = None
        readings = attempt(self.about["tuned"], seed=seed, share=self.share)
        with closing(cast("Generator[AttemptReport]", readings)):
            for last in readings:
                self._keep(last, before)
                if self._is_poor(last, seed_run):
                    return True
        if last is None:
            raise TrainingError(f"study {self.plan.name}: no epoch, expected at least one")
        self.lasts.append(last.metrics)
        self._check(last)
        return self._is_poor_seed(seed_run)

    def _keep(self, reading: AttemptReport, before: int) -> None:
        """Keep an epoch's metrics, and log them."""
        self.num_steps = before + reading.num_steps
        self.facts = reading.facts or self.facts
        given = {name: value for name, value in reading.metrics.items() if isfinite(value)}
        curves = {name: value for name, value in given.items() if "/" in name}
        self.epochs.append({"epoch": len(self.epochs) + 1, **curves})
        self.log_event(
            {"event": "epoch", "digest": self.about["digest"], "metrics": self.epochs[-1]}
        )

    def _is_poor(self, reading: AttemptReport, seed_run: SeedRun) -> bool:
        """Report an epoch where the objective is measured at each; whether to stop.

        What is compared is the mean of this epoch over the seeds so far.
        """
        value = reading.metrics.get(self._followed or "")
        if value is None or not isfinite(value) or not self._is_by_epoch:
            return False
        self.curves[-1][reading.epoch] = value
        so_far = [curve[reading.epoch] for curve in self.curves if reading.epoch in curve]
        is_last = reading.epoch >= seed_run.epochs
        number = seed_run.end if is_last else min(seed_run.start + reading.epoch, seed_run.end)
        return self._report(fmean(so_far), number, asks=not (is_last and seed_run.is_end))

    def _is_poor_seed(self, seed_run: SeedRun) -> bool:
        """Report a finished seed where that was not done epoch by epoch; whether to stop."""
        name = self._followed
        if name is None or self._is_by_epoch:
            return False
        alone = self.plan.study.pruner == "wilcoxon"  # compares seed by seed itself
        values = [metrics[name] for metrics in (self.lasts[-1:] if alone else self.lasts)]
        return self._report(fmean(values), seed_run.end, asks=not seed_run.is_end)

    def _report(self, value: float, number: int, *, asks: bool) -> bool:
        from synthgap.studies.trials.samplers import quiet

        self.trial.report(value, number)
        if not asks or not is_prunable(self.slot.kind):
            return False
        with quiet():
            return bool(self.trial.should_prune())

    @property
    def _followed(self) -> str | None:
        """The objective that pruners compare; none of several."""
        objectives = self.plan.study.objectives
        return objectives[0] if len(objectives) == 1 else None

    @property
    def _is_by_epoch(self) -> bool:
        """Whether pruners compare every epoch, or each seed's end."""
        name, pruner = self._followed, self.plan.study.pruner
        return name is not None and name.startswith("val/") and pruner != "wilcoxon"

    def _check(self, reading: AttemptReport) -> None:
        """Refuse a finished training that lacks what the search needs.

        Raises:
            TrainingError: an objective or a bounded metric is no number.
        """
        for name in (*self.plan.study.objectives, *self.plan.study.constraints):
            value = reading.metrics.get(name)
            if not _is_number(value):
                raise TrainingError(
                    f"study {self.plan.name}: {name} is {value}, expected a number; "
                    "see what the trial tried, or take another objective"
                )

    def _constrain(self) -> None:
        """Say by how much each bound is missed; at most 0 is kept."""
        missed = {}
        for name, bound in self.plan.study.constraints.items():
            value = fmean(metrics[name] for metrics in self.lasts)
            if bound.least is not None:
                missed[f"{name} at least {bound.least:g}"] = bound.least - value
            if bound.most is not None:
                missed[f"{name} at most {bound.most:g}"] = value - bound.most
        for name, by in missed.items():
            self.trial.set_constraint(name, by)
        self.feasible = all(by <= 0 for by in missed.values())

    def objectives(self) -> list[float]:
        """The objectives of a whole trial, each the mean over seeds."""
        names = self.plan.study.objectives
        return [fmean(metrics[name] for metrics in self.lasts) for name in names]

    def row(self, state: str, reason: str | None) -> dict[str, Any]:
        """The trial's row, with what it has."""
        last = self._last()
        return {
            **self.about,
            "state": state,
            "reason": reason,
            "retries": self.trial.user_attrs.get("retries", 0),
            "values": {name: one["mean"] for name, one in last.items()},
            "share": self.share,
            "num_images": self.facts.get("num_images"),
            "num_synthetic": self.facts.get("num_synthetic"),
            "num_steps": self.num_steps,
            "real_labels": dict(self.facts.get("real_labels", UNKNOWN_LABELS)),
            "feasible": self.feasible and state == COMPLETE,
            "epochs": self.epochs,
            "last": last if state == COMPLETE else {},
        }

    def _last(self) -> dict[str, dict[str, Any]]:
        """Mean and population std of each metric over the seeds that reached this share's end.

        A trial that was stopped before has its last epoch's.
        """
        lasts = self.lasts or [
            {name: value for name, value in row.items() if name != "epoch"}
            for row in self.epochs[-1:]
        ]
        found = {}
        for name in self.plan.study.measured:
            values = [metrics[name] for metrics in lasts if _is_number(metrics.get(name))]
            if values:
                spread = {"mean": fmean(values), "std": pstdev(values), "n": len(values)}
                found[name] = {**spread, "over": "seeds"}
        return found


def _is_number(value: float | None) -> bool:
    return value is not None and isfinite(value)


@dataclass(frozen=True)
class TrialOutcome:
    """How a trial ended, for Optuna: its state, its objectives, and its row for the record."""

    state: TrialState
    values: list[float] | None
    row: dict[str, Any]

    def conclude(self, trial: optuna.Trial) -> None:
        """Keep the row with the trial, then end it."""
        trial.set_user_attr("told", self.row)
        trial.study.tell(trial, self.values, state=self.state)


def run_trial(
    trial: optuna.Trial,
    slot: PlannedTrial,
    plan: StudyPlan,
    attempt: Attempt,
    log_event: EventLogger,
) -> TrialOutcome:
    """Make a slot's trial, and log it epoch by epoch.

    Values that contradict each other, and a training that cannot go on, make it a failed one.

    Raises:
        SynthgapError: something that the next trial would meet too.
    """
    from optuna.trial import TrialState

    tuned = {**suggested(trial, plan), **slot.values}
    about = head(plan, slot.number, slot.kind, tuned, seeds=plan.study.seeds)
    trial_run = TrialRun(trial, slot, plan, log_event, about)
    log_event({"event": "start", "digest": about["digest"], "run": about})
    state, reason, values = KILLED, None, None
    try:
        try:
            state = trial_run.run(attempt)
            values = trial_run.objectives() if state == COMPLETE else None
        except (ParamsError, TrainingError) as error:
            state, reason = FAILED, str(error)
    finally:
        row = trial_run.row(state, reason)
        log_event({"event": "end", "digest": about["digest"], "run": row})
    states = {COMPLETE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL}
    return TrialOutcome(states[state], values, row)

"""One study as the report reads it: what was tried, what each trial gave, what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from synthgap.errors import DataError
from synthgap.jobs import read_json

FILE = "tune.json"  # beside the other parts of a recipe's summary
KINDS = ("default", "grid", "first", "search")
WHOLE = ("study", "runs", "recipe")  # what no record of a study lacks

Trial = Mapping[str, Any]


@dataclass(frozen=True)
class Objective:
    """A metric that a study makes as large, or as small, as it can."""

    metric: str
    maximised: bool

    def better(self, value: float, other: float) -> bool:
        """Whether `value` is nearer to what is wanted than `other`."""
        return value > other if self.maximised else value < other


@dataclass(frozen=True)
class StudyFindings:
    """A study's record, run.json: of a stage or of the command line, finished or still running."""

    content: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> StudyFindings:
        """Read the record of one study.

        Raises:
            DataError: there is none, or it is not a study's.
        """
        if not path.is_file():
            raise DataError(
                f"{path}: not there, expected a study's record; run `synthgap study run` first"
            )
        content = read_json(path)
        lacking = [name for name in WHOLE if name not in content]
        if lacking:
            raise DataError(
                f"{path}: lacks {', '.join(lacking)}, expected a study's run.json; run it again"
            )
        return cls(content)

    @property
    def study(self) -> Mapping[str, Any]:
        """What the record says of the study as a whole."""
        return dict(self.content["study"])

    @property
    def name(self) -> str:
        """What params.yaml calls it; `tune` is the stage's."""
        return str(self.study["name"])

    @property
    def recipe(self) -> str:
        """Whose images it was about."""
        return str(self.content["recipe"])

    @cached_property
    def objectives(self) -> list[Objective]:
        """What is sought, the first one first; at least one."""
        return [
            Objective(str(each["metric"]), each["direction"] == "maximize")
            for each in self.study["objectives"]
        ]

    @cached_property
    def trials(self) -> list[Trial]:
        """Every trial that has ended, by its number; what follows the search is not among them."""
        rows = [row for row in self.content["runs"] if row["kind"] in KINDS]
        return sorted(rows, key=lambda row: int(row["trial"]))

    def having(self, state: str) -> list[Trial]:
        """Trials of one state: complete, pruned or failed."""
        return [row for row in self.trials if row["state"] == state]

    @cached_property
    def complete(self) -> list[Trial]:
        """Trials that were scored at full share with every seed."""
        return self.having("complete")

    @cached_property
    def keys(self) -> list[str]:
        """Keys of params.yaml that were tuned, those that matter most first where it is known."""
        shares = self.importances
        return sorted(self.study["space"], key=lambda key: -shares.get(key, 0.0))

    @property
    def importances(self) -> Mapping[str, float]:
        """Share of the first objective's variation that each key explains; empty where unknown."""
        return dict(self.study.get("importances") or {})

    @property
    def default(self) -> Mapping[str, Any]:
        """What stands at every key without tuning."""
        return dict(self.study["default"])

    @property
    def measured(self) -> list[str]:
        """Metrics that at least one trial has, the objectives first."""
        objectives = [each.metric for each in self.objectives]
        metrics = dict.fromkeys(name for row in self.trials for name in row.get("values") or {})
        return [*objectives, *(name for name in metrics if name not in objectives)]

    @property
    def best(self) -> Trial | None:
        """The trial with the best first objective among those that met all bounds.

        Of several objectives, the one of the Pareto front with the best first objective.
        """
        slot = self.study.get("best")
        if slot is not None:
            return self.trial(slot)
        first = self.objectives[0]
        sign = -1 if first.maximised else 1
        front = valued(self.front, first.metric)
        return min(front, key=lambda each: sign * each[1], default=(None, 0.0))[0]

    @property
    def front(self) -> list[Trial]:
        """Trials of the Pareto front, where there are several objectives."""
        slots = set(self.study.get("pareto") or ())
        return [row for row in self.complete if row["trial"] in slots]

    def trial(self, slot: object) -> Trial | None:
        """A trial by its number; the default by that word."""
        number = 0 if slot == "default" else slot
        return next((row for row in self.trials if row["trial"] == number), None)

    @property
    def num_seeds(self) -> int:
        """Seeds behind the value of a trial; 0 where nothing ended."""
        return max((len(row.get("seeds") or ()) for row in self.complete), default=0)

    @property
    def unfinished(self) -> int:
        """Trials of the budget that have not ended yet."""
        return max(0, int(self.study["trials"]) - len(self.trials))


def feasible(trial: Trial) -> bool:
    """Whether a trial is within all bounds, or there are none."""
    return bool(trial.get("feasible", True))


def value(trial: Trial, metric: str) -> float | None:
    """What a trial gave; of a pruned one what it had reached; of a failed one nothing."""
    if trial["state"] == "failed":
        return None
    found = (trial.get("values") or {}).get(metric)
    if found is None and trial["state"] == "pruned":
        epochs = reversed(trial.get("epochs") or [])
        found = next((epoch[metric] for epoch in epochs if metric in epoch), None)
    return None if found is None else float(found)


def valued(trials: Sequence[Trial], metric: str) -> Iterator[tuple[Trial, float]]:
    """Trials that have a value of a metric, with it."""
    for trial in trials:
        found = value(trial, metric)
        if found is not None:
            yield trial, found


def running_best(found: StudyFindings, objective: Objective) -> list[tuple[int, float]]:
    """(trial, best so far) wherever a complete trial within all bounds became the best."""
    steps: list[tuple[int, float]] = []
    for trial, reached in valued(found.complete, objective.metric):
        if feasible(trial) and (not steps or objective.better(reached, steps[-1][1])):
            steps.append((int(trial["trial"]), reached))
    return steps

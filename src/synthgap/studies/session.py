"""A study from its beginning to its end: made once, worked on by anybody, closed by one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from synthgap.errors import ParamsError, WorkError
from synthgap.jobs import Artifacts, code_digest
from synthgap.params.spaces import space_problems
from synthgap.params.wording import did_you_mean
from synthgap.studies.trials.budget import planned_trials
from synthgap.studies.trials.plan import Attempt, StudyPlan
from synthgap.studies.trials.rows import EventLogger
from synthgap.studies.trials.setup import STAGE, open_attempt, surroundings

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

    from synthgap.params.sections import Params

ABOUT = "about"
"""User attribute of a study: what it was begun with beside its plan."""


@dataclass(frozen=True)
class Session:
    """A study that this process can work on."""

    plan: StudyPlan
    study: optuna.Study
    attempt: Attempt
    artifacts: Artifacts

    def work(self, log_event: EventLogger) -> int:
        """Make trials until no slot is left; return how many this worker made.

        Raises:
            SynthgapError: something that the next trial would meet too.
        """
        from synthgap.studies.workers import work

        return work(self.study, self.plan, self.attempt, log_event=log_event)


def planned(params: Params, section: str, *, name: str, trials: int | None) -> StudyPlan:
    """The study that params.yaml describes as `studies.<section>`, to be called `name`.

    Raises:
        ParamsError: there is no such section, or its space cannot be searched.
    """
    if STAGE in (section, name):
        refuse_stage()
    if section not in params.studies:
        raise ParamsError(
            f"study {section!r}: not in params.yaml{did_you_mean(section, params.studies)}; "
            f"expected one of studies ({', '.join(params.studies) or 'none there'})"
        )
    study = params.studies[section]
    if trials is not None:
        study = replace(study, trials=trials)
    problems = [*study.problems(), *space_problems(params, study)]
    if problems:
        raise ParamsError(f"params.yaml, studies.{section}: {'; '.join(problems)}")
    plan = StudyPlan(name, study, params)
    planned_trials(plan)
    return plan


def begin(plan: StudyPlan, section: str, artifacts: Artifacts, storage: BaseStorage) -> Session:
    """Make the study with all its trials waiting.

    Raises:
        WorkError: there is one of this name.
        SynthgapError: what its trials read is missing.
    """
    from synthgap.studies.storage import create_study

    refuse_existing(plan.name, section, artifacts, storage)
    plan, attempt = open_attempt(plan, artifacts)
    study = create_study(plan, storage)
    _describe(study, plan, section, artifacts)
    return Session(plan, study, attempt, artifacts)


def reopen(params: Params, name: str, artifacts: Artifacts, storage: BaseStorage) -> Session:
    """The study of that name, as another worker on it.

    Raises:
        ParamsError: params.yaml or the code says something else than when it was made.
        WorkError: there is no such study.
        SynthgapError: what its trials read is missing.
    """
    from synthgap.studies.storage import check_plan, load_study, plan_attributes

    study = load_study(name, artifacts.recipe, storage)
    about = study.user_attrs.get(ABOUT, {})
    plan = _plan_again(params, name, about, plan_attributes(study))
    check_plan(study, plan)  # before anything heavy is opened
    _refuse_other_code(plan, about)
    plan, attempt = open_attempt(plan, artifacts)
    check_plan(study, plan)
    if not about:  # who made it was killed at once
        _describe(study, plan, name, artifacts)
    return Session(plan, study, attempt, artifacts)


def refuse_stage() -> NoReturn:
    """Refuse to work on the stage's own study.

    Raises:
        ParamsError: always.
    """
    raise ParamsError(
        f"study {STAGE}: the stage's own, which `dvc repro {STAGE}` makes; expected another name"
    )


def refuse_existing(name: str, section: str, artifacts: Artifacts, storage: BaseStorage) -> None:
    """Refuse a name that is taken in the storage, or whose record lies here.

    Raises:
        WorkError: it is taken.
    """
    other = f"`synthgap study run {section} --as NAME` begins another"
    if name in names_of(artifacts.recipe, storage):
        raise WorkError(f"study {name}: exists; `synthgap study resume {name}` goes on, {other}")
    record = record_path(artifacts, name)
    if record.exists():
        raise WorkError(f"study {name}: {record} is there, of another storage; {other}")


def names_of(recipe: str, storage: BaseStorage) -> list[str]:
    """Names of the recipe's studies in the storage."""
    from synthgap.studies.storage import study_names

    found, before = study_names(storage), f"{recipe}/"
    return [name.removeprefix(before) for name in found if name.startswith(before)]


def record_path(artifacts: Artifacts, name: str) -> Path:
    """Where a study's run.json lies."""
    if name == STAGE:
        return artifacts.stage(STAGE) / "run.json"
    return artifacts.root / "mlruns" / "studies" / artifacts.recipe / name / "run.json"


def _describe(study: optuna.Study, plan: StudyPlan, section: str, artifacts: Artifacts) -> None:
    described = plan.base.studies[section].trials
    asked = None if plan.study.trials == described else plan.study.trials
    given = {"section": section, "trials": asked, "code": code_digest(STAGE)}
    study.set_user_attr(ABOUT, {**given, **surroundings(plan, artifacts)})


def _plan_again(
    params: Params, name: str, about: Mapping[str, Any], kept: Mapping[str, Any]
) -> StudyPlan:
    """The study's plan from the params.yaml of now, with the inputs that it was begun with.

    Raises:
        ParamsError: params.yaml does not hold it any more.
    """
    section = str(about.get("section", name))
    plan = planned(params, section, name=name, trials=about.get("trials"))
    return replace(plan, inputs=kept["inputs"])


def _refuse_other_code(plan: StudyPlan, about: Mapping[str, Any]) -> None:
    """Refuse to mix trials of other code in one study.

    Raises:
        ParamsError: it was begun with other code.
    """
    if about.get("code") not in (None, code_digest(STAGE)):
        section = about.get("section", plan.name)
        raise ParamsError(
            f"study {plan.name}: begun with other code of what dvc.yaml lists for stage {STAGE}; "
            "check that version out, or begin another with "
            f"`synthgap study run {section} --as NAME`"
        )

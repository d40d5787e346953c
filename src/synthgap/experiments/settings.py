"""Stage `settings`: the sections that all students share, written once for all cells to depend on.

A cell of dvc.yaml names one file instead of five sections, which DVC would copy into dvc.lock at
every cell. The files hold what params.yaml says, without comments.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from synthgap.errors import ParamsError
from synthgap.jobs import Artifacts, discard, hold, read_json, write_json
from synthgap.params.reading import parse_params, section_dict
from synthgap.params.recipes import recipe_names, resolve
from synthgap.params.sections import Data, Params, Runtime, Student, Training, Tune

STAGE = "settings"
STUDENT = "student.json"
TUNE = "tune.json"
TUNED = ("guide", "training", "protocols")
"""Sections that stage `tune` takes from its base recipe, since `study apply tune` writes there."""


@dataclass(frozen=True)
class SettingsParams:
    """What the stage reads of params.yaml."""

    seed: int
    runtime: Runtime
    data: Data
    student: Student
    training: Training
    tune: Tune


def write_settings(params: SettingsParams, artifacts: Artifacts) -> None:
    """Write `student.json`, what every training reads, and `tune.json`, where tuning begins.

    A recipe of one's own has no file in recipes/: its `tune.json` is empty, and stage `tune` alone
    refuses to begin.

    Raises:
        ParamsError: the base recipe of `tune` is not right.
    """
    named = params.tune.base is not None or artifacts.recipe in recipe_names(_recipes(artifacts))
    base = _tuned(tune_base(params.tune, artifacts)) if named else {}
    contents = {STUDENT: _shared(params), TUNE: base}
    output = artifacts.stage(STAGE)
    with hold(artifacts.work, contents, output, stage=STAGE) as work:
        discard(work)
        for name, content in contents.items():
            write_json(work.folder / name, content)
        work.publish()


def tune_base(tune: Tune, artifacts: Artifacts) -> Params:
    """The recipe, as shipped, that stage `tune` begins with.

    Raises:
        ParamsError: there is no such recipe, or it is not right.
    """
    name = tune.base or artifacts.recipe
    text = resolve(_recipes(artifacts), name)
    return parse_params(text, place=f"recipes/{name}.yaml, base of tune")


def require_settings(params: Params, artifacts: Artifacts) -> None:
    """Refuse to train by other settings than those that DVC has recorded.

    Raises:
        ParamsError: params.yaml was changed, and stage `settings` was left out.
    """
    given = {item.name: getattr(params, item.name) for item in fields(SettingsParams)}
    _require(_shared(SettingsParams(**given)), artifacts, STUDENT, "params.yaml")


def require_tune_base(base: Params, artifacts: Artifacts) -> None:
    """Refuse to tune from another base than the one that DVC has recorded.

    Raises:
        ParamsError: the recipe was changed, and stage `settings` was left out.
    """
    _require(_tuned(base), artifacts, TUNE, "the base recipe of tune")


def _require(content: dict[str, Any], artifacts: Artifacts, name: str, where: str) -> None:
    path = artifacts.stage(STAGE) / name
    if path.is_file() and read_json(path) != content:  # called by hand, there may be no file
        raise ParamsError(
            f"{path}: not what {where} says now; run `dvc repro {STAGE}@{artifacts.recipe}` "
            "first, or `dvc repro` without -s"
        )


def _recipes(artifacts: Artifacts) -> Path:
    return artifacts.root / "recipes"


def _tuned(base: Params) -> dict[str, Any]:
    whole = section_dict(base)
    return {name: whole[name] for name in TUNED}


def _shared(params: SettingsParams) -> dict[str, Any]:
    return {
        "seed": params.seed,
        "threads": params.runtime.threads,
        "data": section_dict(params.data),
        "student": section_dict(params.student),
        "training": section_dict(params.training),
    }

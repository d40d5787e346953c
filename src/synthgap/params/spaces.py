"""What a study may search: its space is held to the typed sections before the first trial."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from synthgap.errors import ParamsError
from synthgap.params.overriding import IMAGE_SET, overridden
from synthgap.params.studies import SearchInterval, Study, Value

if TYPE_CHECKING:
    from synthgap.params.sections import Params

READ = ("training", "guide", "student", "protocols", "synthesize")
"""Sections that a trial reads."""
GRIDDED = (f"{IMAGE_SET}.guidance_scale", f"{IMAGE_SET}.factor")
"""Numbers in a set's name: each of them is images that have to be sampled."""


def study_problems(params: Params) -> Iterator[str]:
    """Of every study by name; stage `tune` holds its own to its base recipe when it runs."""
    for name, study in params.studies.items():
        if name == "tune":
            yield "studies.tune: the name of the stage's own study; expected another one"
        for problem in space_problems(params, study):
            yield f"studies.{name}.{problem}"


def space_problems(params: Params, study: Study) -> Iterator[str]:
    """Name everything in a study's space that `params` cannot be given, end by end."""
    if study.protocol not in params.protocols:
        names = sorted(params.protocols)
        yield f"protocol: {study.protocol!r}, expected one of protocols ({names})"
    for key, dimension in study.space.items():
        section = key.partition(".")[0]
        if section not in READ:
            yield f"space: {key}, which no trial reads; expected a key of {', '.join(READ)}"
            continue
        if dimension == ():
            yield f"space: {key}: [], expected at least one value"
        if key in GRIDDED and not _is_gridded(dimension):
            yield f"space: {key}, expected values or a step: every value is a set of images"
        for value in ends(dimension):
            try:
                overridden(params, {key: value}, place="space")
            except ParamsError as error:
                yield str(error)
                break


def ends(dimension: SearchInterval | tuple[Value, ...]) -> tuple[Value, ...]:
    """Every choice, or the least, the next and the largest number of an interval."""
    if isinstance(dimension, tuple):
        return dimension
    step = () if dimension.step is None else (dimension.low + dimension.step,)
    return (dimension.low, *step, dimension.high)


def _is_gridded(dimension: SearchInterval | tuple[Value, ...]) -> bool:
    return isinstance(dimension, tuple) or dimension.step is not None

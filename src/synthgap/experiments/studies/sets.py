"""Which synthetic sets a study's trials can name, and which of them are there already."""

from __future__ import annotations

from itertools import product
from typing import Any

from synthgap.artifacts import Artifacts
from synthgap.experiments.studies.plan import StudyPlan
from synthgap.experiments.studies.space import all_values
from synthgap.params.overriding import IMAGE_SET


def sets_of(plan: StudyPlan, artifacts: Artifacts) -> dict[str, bool]:
    """Names of the sets, and whether each lies in the cache that stages and studies share.

    Raises:
        SynthgapError: the generator is missing.
    """
    from synthgap.experiments.studies.shelf import asking
    from synthgap.generation.sets.planning import planned_set
    from synthgap.generation.sets.synthesis import shelf_place

    found = {}
    for values in _namings(plan):
        params = plan.settings(values)
        name = params.guide.image_set
        if name not in found:
            planned = planned_set(asking(params), artifacts, name)
            found[name] = shelf_place(planned).is_dir()
    return found


def _namings(plan: StudyPlan) -> list[dict[str, Any]]:
    """Every combination of values that names a set."""
    keys = [key for key in plan.study.space if key == IMAGE_SET or key.startswith(f"{IMAGE_SET}.")]
    values = [all_values(plan, key) or [plan.default[key]] for key in keys]
    return [dict(zip(keys, each, strict=True)) for each in product(*values)]

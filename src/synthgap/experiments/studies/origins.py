"""Where a study's images come from: the generators behind its sets, and the real labels used."""

from __future__ import annotations

from pathlib import Path

from synthgap.artifacts import Artifacts
from synthgap.data import ImageSet
from synthgap.experiments.studies.plan import StudyPlan
from synthgap.generation.checkpoints.provenance import Provenance
from synthgap.generation.sets.asking import wanted_set
from synthgap.guidance.methods import METHODS
from synthgap.params.overriding import IMAGE_SET
from synthgap.params.spaces import ends


def generators(plan: StudyPlan, artifacts: Artifacts) -> dict[Path, Provenance]:
    """Every generator that a trial's set may be sampled from, by its folder.

    Raises:
        GeneratorError: one is missing.
    """
    found = {}
    for values in ({}, *_others(plan)):
        params = plan.settings(values)
        stage, *cell = wanted_set(params.guide.image_set, params.synthesize).source
        folder = artifacts.cell(stage, *cell) if cell else artifacts.generator
        if folder not in found:
            found[folder] = Provenance.read(artifacts, *([stage, *cell]))
    return found


def student_labels(plan: StudyPlan, real: ImageSet) -> int:
    """Real labels that the default's student learns from; `real` is the training set."""
    given, shots = METHODS[plan.study.method].real, plan.base.protocols[plan.study.protocol]
    if given in {"none", "images"}:
        return 0
    if given == "all" or shots.real_per_class is None:
        return len(real)
    return shots.real_per_class * len(real.classes)


def _others(plan: StudyPlan) -> list[dict[str, object]]:
    """Values that name another set's generator."""
    keys = [key for key in (IMAGE_SET, f"{IMAGE_SET}.rival") if key in plan.study.space]
    return [{key: value} for key in keys for value in ends(plan.study.space[key])]

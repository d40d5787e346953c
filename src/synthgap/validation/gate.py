"""Nothing trains on a set that the gate has not passed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthgap.data.neighbours import ShiftedDistance, near_threshold
from synthgap.jobs import Artifacts, hold, publish, write_json
from synthgap.params.sections import Data, Grid, Validate
from synthgap.validation.expectations import ExpectationRequest, expect, readable_offline
from synthgap.validation.fidelity import MeasuredFidelity
from synthgap.validation.frames import GateFrame, compare_classes, compared_size, measure_set
from synthgap.validation.leakage import add_copies
from synthgap.validation.rules import ORACLE, GateReference, rules
from synthgap.validation.verdicts import failure, summary, verdict

REAL = ("corpus", "train", "val", "test")


@dataclass(frozen=True)
class ValidateParams:
    """What the stage `validate` reads of params.yaml; of `grid`, what names synthetic sets."""

    data: Data
    validate: Validate
    grid: Grid


def validate(params: ValidateParams, artifacts: Artifacts) -> None:
    """Hold the real sets and the synthetic ones to every expectation.

    Synthetic are those of `grid.synthetic_sets` and, where its ablation is run, `oracle`. Limits
    of fidelity are judged by what stage `fidelity` found of exactly these sets.

    Writes `validation.json` and one `<set>.json` a set, whose bytes depend on that set and the real
    ones alone, and Great Expectations' Data Docs outside the DVC outputs.

    Raises:
        DataError: a set has no manifest, or a limit of fidelity has no fidelity of the set.
        GateError: an expectation failed; Data Docs and `failure.json` beside them tell the rest,
            and no verdict is written.
    """
    names = [*REAL, *params.grid.synthetic_sets]
    names += [name for name in params.grid.ablations if name == ORACLE]  # it is called as its set
    identity = {"stage": "validate", "recipe": artifacts.recipe, "sets": names}
    output = artifacts.stage("validate")
    with hold(artifacts.work, identity, output, stage="validate") as work:
        shutil.rmtree(work.folder)  # quick work: nothing of an interrupted run is worth resuming
        site, verdicts = work.folder / "site", work.folder / "verdicts"
        whole = _judge(params, artifacts, names, site)
        readable_offline(site, f"synthgap {artifacts.recipe}", whole)
        if not whole["passed"]:
            write_json(site / "failure.json", whole)
        publish(site, artifacts.data_docs)
        if not whole["passed"]:
            shutil.rmtree(work.folder)
            shutil.rmtree(output, ignore_errors=True)  # no older verdict may speak for these sets
            raise failure(whole, _relative_path(artifacts.data_docs / "index.html", artifacts.root))
        for name, word in whole["sets"].items():
            write_json(verdicts / f"{name}.json", word)
        write_json(verdicts / "validation.json", whole)
        publish(verdicts, output)


def _judge(
    params: ValidateParams, artifacts: Artifacts, names: Sequence[str], site: Path
) -> dict[str, Any]:
    """Every set's verdict and the Data Docs, under the folder `site`."""
    limits = params.validate
    size_px = compared_size(artifacts.image_set("train"), params.data)
    lens = ShiftedDistance(size_px, limits.near_size_px, limits.near_shift_px)
    sets = {
        name: measure_set(
            artifacts.image_set(name), name, "real" if name in REAL else "synthetic", lens
        )
        for name in names
    }
    threshold = _compare(sets, limits)
    synthetic = {name: sets[name] for name in names if name not in REAL}
    measured = MeasuredFidelity.read(artifacts, limits, synthetic)
    standard = GateReference(limits, params.data, sets["train"], threshold, measured)
    questions = [
        ExpectationRequest(name, gated.frame, rules(gated, standard, apart_from=_apart_from(name)))
        for name, gated in sets.items()
    ]
    outcomes = expect(questions, title=f"synthgap {artifacts.recipe}", site=site)
    digests = {name: sets[name].digest for name in REAL}
    return summary(
        [
            verdict(gated, outcomes[name], threshold=threshold, against=digests)
            for name, gated in sets.items()
        ]
    )


def _compare(sets: Mapping[str, GateFrame], limits: Validate) -> float:
    """Add what only a comparison with other sets can tell; return the near-copy distance."""
    within = {}
    for name, gated in sets.items():
        compare_classes(gated, sets["train"])
        within[name] = add_copies(gated, [sets[other] for other in _apart_from(name)])
    natural = within["corpus"] if len(within["corpus"]) > 1 else within["train"]
    return near_threshold(natural, quantile=limits.near_quantile, margin=limits.near_margin)


def _apart_from(name: str) -> tuple[str, ...]:
    """The sets that a set may share no image with: each pair of real sets is looked at once."""
    return REAL[: REAL.index(name)] if name in REAL else REAL


def _relative_path(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path

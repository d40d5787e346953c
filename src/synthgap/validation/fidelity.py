"""What stage `fidelity` measured, as expectations: limits in the features of one network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from synthgap.errors import DataError
from synthgap.jobs import Artifacts, read_json
from synthgap.params.sections import Validate
from synthgap.validation.frames import GateFrame

NAMED = 3  # classes named for one expectation
TOLERANCE = 1e-9  # a mean of equal numbers may differ from them in the last bit


@dataclass(frozen=True)
class FidelityLimit:
    """One number of params.yaml and the metric that it limits; `text` completes "<set>: ..."."""

    name: str
    metric: str
    text: str
    of_classes: bool = False  # each class has its own: the worst are named

    @property
    def column(self) -> str:
        """Where the set's number stands in its frame, the same in every row."""
        return f"fidelity_{self.metric}"


LIMITS = (
    FidelityLimit("max_fid", "fid", "FID is at most {limit:g} ({network})"),
    FidelityLimit("max_kid", "kid", "KID is at most {limit:g} ({network})"),
    FidelityLimit(
        "min_coverage", "coverage", "coverage of train is at least {limit:g} ({network})"
    ),
    FidelityLimit(
        "min_agreement",
        "agreement",
        "the judge takes a share of at least {limit:g} of the images for their class",
        of_classes=True,
    ),
    FidelityLimit(
        "min_authenticity",
        "authenticity",
        "a share of at least {limit:g} of the images is no memory of corpus ({network})",
    ),
    FidelityLimit(
        "min_clip_score", "clip_score", "the CLIP score of the prompts is at least {limit:g}"
    ),
)  # fmt: skip


@dataclass(frozen=True)
class FidelityExpectation:
    """One limit of one set, and the classes that break it the most."""

    text: str
    column: str
    options: Mapping[str, float]
    worst: tuple[str, ...]


@dataclass(frozen=True)
class MeasuredFidelity:
    """Fidelity of every synthetic set that is held to a limit."""

    network: str
    limits: Validate
    sets: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(
        cls, artifacts: Artifacts, limits: Validate, sets: Mapping[str, GateFrame]
    ) -> Self | None:
        """Read fidelity.json where params.yaml has limits; add its numbers to the sets' frames.

        Raises:
            DataError: there is none, or it is not of exactly these sets.
        """
        if all(getattr(limits, limit.name) is None for limit in LIMITS):
            return None
        path = artifacts.stage("fidelity") / "fidelity.json"
        if not path.is_file():
            raise DataError(
                f"{path}: missing, expected the fidelity that params.yaml, validate limits; run "
                "`dvc repro fidelity` first"
            )
        content = read_json(path)
        for name, gated in sets.items():
            there = content["sets"].get(name, {}).get("digest")
            if gated.digest is not None and there != gated.digest:
                raise DataError(
                    f"{path}: of {name} with the digest {there}, expected {gated.digest}, which "
                    "lies there now; rerun `dvc repro fidelity`"
                )
        measured = cls(str(content["feature_network"]["name"]), limits, content["sets"])
        for name, gated in sets.items():
            measured._add(name, gated)
        return measured

    def expected_of(self, gated: GateFrame) -> Iterator[FidelityExpectation]:
        """Every limit that holds for a set; without prompts there is nothing to score by CLIP."""
        for limit in LIMITS:
            value = getattr(self.limits, limit.name)
            unasked = limit.metric == "clip_score" and not gated.prompted
            if value is None or unasked or limit.column not in gated.frame:
                continue
            upper = limit.name.startswith("max")
            bound = value + TOLERANCE if upper else value - TOLERANCE
            yield FidelityExpectation(
                text=limit.text.format(limit=value, network=f"features of {self.network}"),
                column=limit.column,
                options={"max_value" if upper else "min_value": bound},
                worst=self._worst(gated.name, limit) if limit.of_classes else (),
            )

    def _add(self, name: str, gated: GateFrame) -> None:
        metrics = self.sets.get(name, {}).get("metrics", {})
        for limit in LIMITS if metrics else ():
            value = metrics.get(limit.metric)
            gated.frame[limit.column] = np.full(
                len(gated.frame), np.nan if value is None else value
            )

    def _worst(self, name: str, limit: FidelityLimit) -> tuple[str, ...]:
        classes = self.sets[name]["classes"]
        values = {
            class_name: numbers[limit.metric]
            for class_name, numbers in classes.items()
            if numbers[limit.metric] is not None
        }
        lowest = sorted(values, key=lambda class_name: values[class_name])[:NAMED]
        return tuple(f"class {class_name} ({values[class_name]:.2f})" for class_name in lowest)

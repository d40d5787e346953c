"""What stage `fidelity` found, beside what students of each class get right; and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from synthgap.jobs import Artifacts, read_json, whole_file, write_json
from synthgap.reporting.record_names import set_name
from synthgap.reporting.series import PREDICTIONS_FILE, Series

FIDELITY_FILE, FIDELITY_SHEET = "fidelity.json", "fidelity-"
REAL_SET = "train"  # the set that real-trained students learn from
STUDENT_EXPERIMENTS = ("train", "clone")  # the first that has a set's students shows them
ACCURACY_DIGITS = 2
Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class FidelityRow:
    """One class of one set: its diseases, those of real images, and what students lose by it."""

    set: str
    class_name: str
    numbers: Numbers
    real: Numbers
    gap_pp: float | None  # real-trained minus synthetic-trained accuracy, points
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class FidelityNumbers:
    """Metrics of sets and classes; `accuracy` is percent by set and class, of real test images."""

    content: Mapping[str, Any]
    accuracy: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Take what the summary keeps."""
        return cls(content, content["accuracy"])

    @property
    def network(self) -> str:
        """Whose features, as every table says it."""
        return str(self.content["feature_network"]["name"])

    @property
    def real(self) -> Mapping[str, Any]:
        """What real images score."""
        return dict(self.content["real"])

    @property
    def sets(self) -> Mapping[str, Mapping[str, Any]]:
        """The synthetic sets, in the order of params.yaml."""
        return {name: self.content["sets"][name] for name in self.content["order"]}

    def gap(self, name: str, class_name: str) -> float | None:
        """Points of a class's accuracy that a set's students lie below real-trained ones."""
        real = self.accuracy.get(REAL_SET, {}).get(class_name)
        other = self.accuracy.get(name, {}).get(class_name)
        return None if real is None or other is None else real - other

    def rows(self, name: str) -> list[FidelityRow]:
        """A set's classes, least agreed first; those without images last."""
        entry = self.sets[name]
        prompts = {worst["class"]: tuple(worst["prompts"]) for worst in entry["worst"]}
        found = [
            FidelityRow(
                set=name,
                class_name=class_name,
                numbers=entry["classes"][class_name],
                real=self.real["classes"][class_name],
                gap_pp=self.gap(name, class_name),
                prompts=prompts.get(class_name, ()),
            )
            for class_name in self.content["classes"]
        ]
        return sorted(found, key=_agreement_key)

    def worst(self, count: int) -> list[FidelityRow]:
        """The worst classes over all sets."""
        return sorted((row for name in self.sets for row in self.rows(name)), key=_agreement_key)[
            :count
        ]


def fidelity_sentences(fidelity: FidelityNumbers) -> list[str]:
    """Which set is nearest to real images, which most diverse, and which class is worst."""
    return [
        *_fid_sentence(fidelity),
        *_diversity_sentence(fidelity),
        *_agreement_sentence(fidelity),
    ]


def copy_fidelity(
    summary: Path, series: Sequence[Series], cell: Path, artifacts: Artifacts
) -> list[Path]:
    """Copy what the report shows of stage `fidelity`; return its folder where it was not run.

    `cell` is the folder of any students, whose predictions name the test images.
    """
    folder = artifacts.stage("fidelity")
    if not (folder / FIDELITY_FILE).is_file():
        return [folder]
    content = read_json(folder / FIDELITY_FILE)
    accuracy = class_accuracy(series, scored_images(cell))
    write_json(summary / FIDELITY_FILE, {**content, "accuracy": accuracy})
    for path in sorted(folder.glob("*.png")):
        with whole_file(summary / f"{FIDELITY_SHEET}{path.name}") as partial:
            partial.write_bytes(path.read_bytes())
    return []


def scored_images(cell: Path) -> list[str]:
    """Paths `<class>/<file>` of the test images, in the order of a series' shares."""
    import pyarrow.parquet as pq

    column = pq.read_table(cell / PREDICTIONS_FILE, columns=["image"]).column("image")
    return sorted(set(column.to_pylist()))


def class_accuracy(series: Sequence[Series], images: Sequence[str]) -> dict[str, dict[str, float]]:
    """Percent of each class's test images that students of a whole set get right, by set and class.

    images: paths `<class>/<file>` in the order of the series' shares.
    """
    folders = np.asarray([path.partition("/")[0] for path in images])
    found: dict[str, dict[str, float]] = {}
    for experiment in STUDENT_EXPERIMENTS:
        for one in series:
            at = one.at
            whole = at.experiment == experiment and at.fraction == 1 and at.arm is None
            if not whole or at.set in found:
                continue
            found[at.set] = {
                str(name): round(100 * float(one.shares[folders == name].mean()), ACCURACY_DIGITS)
                for name in np.unique(folders)
            }
    return found


def _agreement_key(row: FidelityRow) -> tuple[float, float]:
    agreement = row.numbers["agreement"]
    return (2.0, 0.0) if agreement is None else (agreement, row.numbers["confidence"])


def _metric_by_set(fidelity: FidelityNumbers, metric: str) -> dict[str, float]:
    return {
        name: float(entry["metrics"][metric])
        for name, entry in fidelity.sets.items()
        if entry["metrics"][metric] is not None
    }


def _fid_sentence(fidelity: FidelityNumbers) -> Iterator[str]:
    found = _metric_by_set(fidelity, "fid")
    if not found:
        return
    first, last = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
    line = f"By FID {set_name(first)} is nearest to the real training images ({found[first]:.1f})"
    if last != first:
        line += f" and {set_name(last)} farthest ({found[last]:.1f})"
    real = fidelity.real
    yield f"{line}; {real['what']}, real images score {real['metrics']['fid']:.1f}."


def _diversity_sentence(fidelity: FidelityNumbers) -> Iterator[str]:
    found = _metric_by_set(fidelity, "diversity")
    if not found:
        return
    least = min(found, key=found.__getitem__)
    recall = fidelity.sets[least]["metrics"]["recall"]
    yield (
        f"Least diverse within classes is {set_name(least)}: its images lie {found[least]:.2f} "
        f"times as far from each other as real ones of the same class, and {100 * recall:.0f} % of "
        "the real images lie where its images do (recall)."
    )


def _agreement_sentence(fidelity: FidelityNumbers) -> Iterator[str]:
    rows = fidelity.worst(1)
    if not rows or rows[0].numbers["agreement"] is None:
        return
    row = rows[0]
    share = f"{100 * row.numbers['agreement']:.0f} %"
    real = row.real["agreement"]
    beside = "" if real is None else f" (of real ones {100 * real:.0f} %)"
    yield (
        f"The class that the judge recognises least is {row.class_name} of {set_name(row.set)}: "
        f"{share} of its images{beside}."
    )

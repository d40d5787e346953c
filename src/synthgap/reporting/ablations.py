"""Ablations: what changed, what came of it, and the published row of the same change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synthgap.reporting.formats import resolved_sentence
from synthgap.reporting.published import published
from synthgap.reporting.record_names import Record, find_one, row_name, select, variant_name
from synthgap.reporting.summary import Summary

SIDES = ("real", "synthetic")
TRAINING_KEYS = {
    "normalisation": "normalise",
    "augmentation": "augmentation",
    "supervision": "supervision",
}
UNCHANGED_VARIANTS = {"stylised": "plain", "oracle": "text"}


@dataclass(frozen=True)
class AblationQuestion:
    """One ablation: its title, and in a sentence what it changes."""

    key: str
    title: str
    changed: str


QUESTIONS = (
    AblationQuestion(
        "normalisation",
        "Input statistics and batch norm (MtG, Table 1)",
        "Changed: the mean and std that pixels are normalised with, each image set by its own "
        "exact ones, those of the real training set for the test images; or batch norm, which "
        "scores with the statistics of the batch at hand, on a copy of the student.",
    ),
    AblationQuestion(
        "augmentation",
        "Augmentation (MtG, Table 2)",
        "Changed: what is done to a training image before it is learned from.",
    ),
    AblationQuestion(
        "stylised",
        "Without texture (MtG, Table 3)",
        "Changed: the training images, each in the style of another picture (AdaIN), so that its "
        "texture and colour tell nothing about the class while its shape still does.",
    ),
    AblationQuestion(
        "oracle",
        "Prompted by real images (MtG, Table 4)",
        "Changed: the prompts, the embedding of each real training image instead of the name of "
        "its class.",
    ),
    AblationQuestion(
        "supervision",
        "A teacher's embeddings (MtG, eq. 1 and Table 5)",
        "Changed: the loss, with the distance to a CLIP teacher's embedding of the training image "
        "beside the labels, or alone; alone, the class is the one whose name lies nearest.",
    ),
    AblationQuestion(
        "sources",
        "Mixed sources and chosen subsets (not in the papers)",
        "Changed: the images, real and synthetic ones mixed, for a whole student or for what is "
        "relearned over a frozen synthetic prefix; or which real images the rest over that prefix "
        "learns from, where least certain and coreset are by the donor's own outputs.",
    ),
)


@dataclass(frozen=True)
class AblationRow:
    """One change on one kind of training images; `published` is MtG's (mean, std), or nothing."""

    side: str  # what was trained on: one of SIDES
    label: str
    row: Record
    difference: Record | None  # to the student without the change; nothing for that student itself
    published: tuple[float, float] | None
    published_base: tuple[float, float] | None

    @property
    def published_difference(self) -> float | None:
        """Points between MtG's row and its row without the change."""
        if self.published is None or self.published_base is None or self.difference is None:
            return None
        return self.published[0] - self.published_base[0]


def ablation_rows(summary: Summary, key: str) -> list[AblationRow]:
    """Every student of one ablation, each kind of training images under the one without change."""
    table = _PublishedTable.of(key, summary.about["training"])
    found: list[AblationRow] = []
    for side in SIDES:
        rows = select(summary.top1, experiment="ablate", ablation=key, source=side)
        differences = [
            find_one(summary.comparisons, kind="ablation", left=row_name(row)) for row in rows
        ]
        bases = dict.fromkeys(there["right"] for there in differences if there)
        found += [table.without_change(side, row) for row in summary.top1 if row_name(row) in bases]
        found += [
            table.changed(side, row, difference)
            for row, difference in zip(rows, differences, strict=True)
        ]
    return found


def source_rows(summary: Summary) -> list[tuple[Record, Record | None]]:
    """Mixed sources and subsets with their differences, each below the student held against."""
    named = {row_name(row): row for row in summary.top1}
    below: dict[str, list[tuple[Record, Record | None]]] = {}
    for row in select(summary.top1, experiment="ablate", ablation="sources"):
        difference = find_one(summary.comparisons, kind="ablation", left=row_name(row))
        if difference is None:
            below.setdefault(row_name(row), [])
        else:
            below.setdefault(difference["right"], []).append((row, difference))
    return [
        pair
        for name, found in below.items()
        for pair in [*([(named[name], None)] if name in named else []), *found]
    ]


def ablation_sentences(summary: Summary, key: str) -> str | None:
    """Which of an ablation's differences are resolved from zero, largest first."""
    return resolved_sentence(select(summary.comparisons, kind="ablation", ablation=key))


@dataclass(frozen=True)
class _PublishedTable:
    """MtG's table of an ablation, read from where our base stands."""

    rows: Mapping[tuple[str, str], tuple[float, float]]
    base: str
    label: str  # what our own base is

    @classmethod
    def of(cls, key: str, training: Mapping[str, Any]) -> _PublishedTable:
        table = find_one(published()["ablations"], ablation=key)
        assert table is not None, f"published.json has no ablation {key!r}"
        rows = {
            (side, variant): (float(mean), float(std))
            for side, variant, _, mean, std in table["rows"]
        }
        own = str(
            training.get(TRAINING_KEYS[key], "base")
            if key in TRAINING_KEYS
            else UNCHANGED_VARIANTS[key]
        )
        there = own if ("real", own) in rows else str(table["base"])
        return cls(rows, there, variant_name(own))

    def changed(self, side: str, row: Record, difference: Record | None) -> AblationRow:
        variant, base = str(row["variant"]), self.rows.get((side, self.base))
        there = self.rows.get((side, variant))
        return AblationRow(side, variant_name(variant), row, difference, there, base)

    def without_change(self, side: str, row: Record) -> AblationRow:
        there = self.rows.get((side, self.base))
        return AblationRow(side, self.label, row, None, there, there)

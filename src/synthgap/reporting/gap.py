"""Where the gap comes from: what stage `gap` measured between sources, and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthgap.jobs import Artifacts, read_json, whole_file, write_json
from synthgap.reporting.formats import number
from synthgap.reporting.labels import Record, select, set_name

FILE, SHEET = "gap.json", "gap-"
REAL = "train"
LOSSES = ("low", "high")


@dataclass(frozen=True)
class GapNumbers:
    """The stage's numbers by set, the real one first."""

    content: Mapping[str, Any]

    @property
    def sets(self) -> list[str]:
        """Names of the sets."""
        return list(self.content["sets"])

    @property
    def synthetic(self) -> list[str]:
        """Names of the synthetic ones."""
        return [name for name in self.sets if name != REAL]

    def top1(self, learned: str, scored: str) -> Record | None:
        """Percent of one set's training images that students of another set get right."""
        found = self.content["cross"].get(learned, {}).get(scored)
        return None if found is None else dict(found)

    def split(self, part: str, name: str, key: str) -> float | None:
        """A number of `appearance`, `content` or `quality`, where the set has it."""
        value = self.content[part].get(name, {}).get(key)
        return None if value is None else float(value)

    def pairs(self, classifier: str) -> list[Mapping[str, Any]]:
        """Cross-entropies of every set under one classifier."""
        every = self.content["cross_entropy"]["pairs"]
        return [pair for pair in every if pair["classifier"] == classifier]

    def pair(self, classifier: str, images: str) -> Mapping[str, Any] | None:
        """One set's under one classifier."""
        return next((each for each in self.pairs(classifier) if each["images"] == images), None)


def keep_gap(summary: Path, artifacts: Artifacts) -> None:
    """Copy what the report shows of stage `gap`, as far as it is there."""
    folder = artifacts.stage("gap")
    if not (folder / FILE).is_file():
        return
    content = read_json(folder / FILE)
    write_json(summary / FILE, content)
    for name in sorted(sheets_of(content)):
        with whole_file(summary / f"{SHEET}{name}") as partial:
            partial.write_bytes((folder / name).read_bytes())


def sheets_of(content: Mapping[str, Any]) -> set[str]:
    """File names of the sheets of low- and of high-loss images."""
    return {name for loss in LOSSES for name in content["sheets"].get(loss, {}).values()}


def gap_sentences(gap: GapNumbers, sampling: Sequence[Record]) -> list[str]:
    """What crossing sources, the split and the sampling experiment say, a sentence a set first."""
    told = [[*_crossed(gap, name), *_split(gap, name)] for name in gap.synthetic]
    named = zip(gap.synthetic, told, strict=True)
    found = [
        f"{set_name(name).capitalize()}: {'; '.join(parts)}." for name, parts in named if parts
    ]
    return [*found, *_sampled(sampling)]


def _crossed(gap: GapNumbers, name: str) -> Iterator[str]:
    there, back, own = gap.top1(REAL, name), gap.top1(name, REAL), gap.top1(REAL, REAL)
    if there is not None and back is not None and own is not None:
        yield (
            f"students of real images are right on {there['mean']:.1f} % of these, students of "
            f"these on {back['mean']:.1f} % of the real ones ({own['mean']:.1f} % by their own)"
        )


def _split(gap: GapNumbers, name: str) -> Iterator[str]:
    coverage = gap.split("content", name, "coverage")
    if coverage is not None:
        yield f"{_percent(1 - coverage)} of the real images have none of these near them (content)"
    off = gap.split("quality", name, "off_manifold")
    if off is not None:
        yield f"{_percent(off)} of these lie off the real manifold (quality)"
    real, own = (gap.split("appearance", each, "high_share") for each in (REAL, name))
    if real and own is not None:
        times = number(own / real, 2)
        yield f"high frequencies have {times} times the share of power in real ones (appearance)"


def _sampled(sampling: Sequence[Record]) -> Iterator[str]:
    against_real = [row for row in sampling if row["verdict"] != "not run" and _alone(row)]
    if not against_real:
        return
    better, worse = (select(against_real, verdict=verdict) for verdict in ("holds", "reversed"))
    told = [
        f"{row['left'].removeprefix('trained on ')} {_points(row)}" for row in [*better, *worse]
    ]
    count = f"{len(told) or 'none'} of {len(against_real)}"
    shown = f": {'; '.join(told)} points" if told else ""
    yield f"Samples added to real images, resolved from these alone: {count}{shown}."


def _alone(row: Record) -> bool:
    return "these synthetic images add" in row["statement"]


def _points(row: Record) -> str:
    return number(row["difference_pp"], 1, "+")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

"""One recipe's summary as the report reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthgap.errors import DataError
from synthgap.jobs import read_json
from synthgap.reporting import gap as gaps
from synthgap.reporting import studies
from synthgap.reporting.fidelity import FIDELITY_SHEET, FidelityNumbers
from synthgap.reporting.layer_numbers import LayerNumbers
from synthgap.reporting.record_names import SERIES_KEYS, Record, find_one, is_plain, select, top1

REQUIRED_FILES = ("records.json", "comparisons.json", "about.json", "environment.json")
IMAGES = ("contact", "stylised", "oracle")
NO_PREFIX_EXPERIMENTS = {
    "train",
    "ablate",
    "clone",
    "guide",
    "gap",
}  # experiments that move no prefix


@dataclass(frozen=True)
class Summary:
    """Records of one recipe and what surrounds them."""

    recipe: str
    records: list[Record]
    comparisons: list[Record]
    about: Mapping[str, Any]
    environment: Mapping[str, Any]
    photos: Mapping[str, bytes]  # PNGs, of those in IMAGES that there are, and sheets of images
    layers: LayerNumbers | None
    fidelity: FidelityNumbers | None
    stylise: Mapping[str, Any] | None  # texture and shape of sets before and after, by set
    gap: gaps.GapNumbers | None
    tune: Mapping[str, Any] | None  # the study of stage tune, its run.json

    @property
    def units(self) -> list[str]:
        """Names of the student's ordered units."""
        return list(self.about["units"])

    @property
    def confidence(self) -> str:
        """E.g. `95 %`."""
        return f"{100 * float(self.about['confidence']):g} %"

    @property
    def top1(self) -> list[Record]:
        """Test top-1 over seeds, a record a series."""
        return top1(self.records)

    @property
    def real(self) -> Record | None:
        """The student trained on the real training set."""
        return find_one(self.top1, experiment="train", set="train")

    @property
    def corpus(self) -> Record | None:
        """The student trained on the images that the generator saw."""
        return find_one(self.top1, experiment="train", set="corpus")

    @property
    def synthetic(self) -> list[Record]:
        """Students trained on the recipe's own synthetic sets, by rising guidance scale."""
        rows = select(self.top1, experiment="train", source="synthetic")
        rows = [row for row in rows if is_plain(row["set"])]
        return sorted(rows, key=lambda row: float(row["guidance_scale"]))

    @property
    def donor(self) -> Record | None:
        """The synthetic-trained student whose prefixes are transferred."""
        moved = [row for row in self.top1 if row["experiment"] not in NO_PREFIX_EXPERIMENTS]
        scales = [row["guidance_scale"] for row in moved]
        used = [scale for scale in scales if scale is not None]
        return find_one(self.synthetic, guidance_scale=used[0]) if used else None

    def moved(self, direction: str) -> list[Record]:
        """Transfer and control records of one direction, by rising depth."""
        rows = [row for row in self.top1 if row["experiment"] in {"transfer", "control"}]
        return sorted(select(rows, direction=direction), key=lambda row: int(row["depth"]))

    @property
    def arms(self) -> dict[tuple[str, int], list[Record]]:
        """Data-reduction records by (arm, depth), each by falling fraction."""
        found: dict[tuple[str, int], list[Record]] = {}
        for row in sorted(self.top1, key=lambda row: -float(row["fraction"])):
            if row["experiment"] == "reduce":
                found.setdefault((row["arm"], row["depth"] or 0), []).append(row)
        scratch = found.get(("scratch", 0))
        if scratch and self.real and scratch[0]["fraction"] != 1:
            scratch.insert(0, self.real)
        return dict(sorted(found.items(), key=lambda item: (item[0][0] != "scratch", item[0])))

    @property
    def label_range(self) -> tuple[float, float] | None:
        """Fewest and most real labels that a student was trained on from scratch."""
        rows = self.arms.get(("scratch", 0), [])
        counts = [float(row["real_labels"]["student"]) for row in rows]
        return (min(counts), max(counts)) if len(counts) > 1 else None

    def seeds_of(self, row: Record) -> list[float]:
        """Test top-1 of each run behind a record over seeds."""
        place = {name: row[name] for name in SERIES_KEYS}
        runs = select(self.records, **place, metric="test/top1", over="epochs")
        return [float(run["mean"]) for run in runs]


def read_summaries(root: Path) -> list[Summary]:
    """Every recipe's summary under `root`/artifacts/summary, by name.

    Raises:
        DataError: there is none, or one lacks a part.
    """
    folder = root / "artifacts" / "summary"
    found = sorted(path.parent for path in folder.glob("*/records.json"))
    if not found:
        raise DataError(
            f"{folder}: no recipe has a summary; expected {folder.name}/<recipe>/records.json; "
            "run `dvc repro summarise`"
        )
    return [_read(path) for path in found]


def _read(folder: Path) -> Summary:
    for name in REQUIRED_FILES:
        if not (folder / name).is_file():
            raise DataError(
                f"{folder / name}: missing, expected beside records.json; rerun summarise"
            )
    records, comparisons, about, environment = (read_json(folder / name) for name in REQUIRED_FILES)
    pictures = {name: folder / f"{name}.png" for name in IMAGES}
    for sheets in (FIDELITY_SHEET, gaps.GAP_SHEET):
        pictures |= {path.stem: path for path in sorted(folder.glob(f"{sheets}*.png"))}
    names = ("layers.json", "fidelity.json", "stylise.json", gaps.GAP_FILE, studies.FILE)
    layers, fidelity, stylise, gap, tune = (_optional(folder / name) for name in names)
    return Summary(
        recipe=folder.name,
        records=records,
        comparisons=comparisons,
        about=about,
        environment=environment,
        photos={name: path.read_bytes() for name, path in pictures.items() if path.is_file()},
        layers=LayerNumbers.of(layers) if layers else None,
        fidelity=FidelityNumbers.of(fidelity) if fidelity else None,
        stylise=stylise,
        gap=gaps.GapNumbers(gap) if gap else None,
        tune=tune,
    )


def _optional(path: Path) -> Mapping[str, Any] | None:
    return dict(read_json(path)) if path.is_file() else None

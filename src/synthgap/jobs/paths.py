"""Where everything lies: names become paths here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Artifacts:
    """Paths of one recipe inside one checkout; `dvc.yaml` declares the same ones."""

    root: Path
    recipe: str

    def stage(self, name: str) -> Path:
        """Folder of everything that stage `name` writes for this recipe."""
        return self.root / "artifacts" / name / self.recipe

    def raw(self, name: str) -> Path:
        """Images as imported, tracked by data.dvc."""
        return self.root / "data" / name

    def image_set(self, name: str) -> Path:
        """Image set `corpus`, `train`, `val`, `test` or `g<guidance scale>`."""
        return self.stage("sets") / name

    def synthetic(self, guidance_scale: float) -> str:
        """Name of the synthetic set made at a guidance scale."""
        return f"g{guidance_scale}"

    @property
    def generator(self) -> Path:
        """The text-to-image pipeline, a diffusers folder, or its pin."""
        return self.stage("generator")

    def verdict(self, set_name: str) -> Path:
        """The gate's word on one image set; a stage that trains on the set depends on it."""
        return self.stage("validate") / f"{set_name}.json"

    def cell(self, stage: str, *coordinates: str | int | float) -> Path:
        """Output folder of one matrix cell, e.g. `reduce`, 8."""
        return self.stage(stage) / "-".join(str(part) for part in coordinates)

    @property
    def summary(self) -> Path:
        """Records of this recipe, from which the report draws."""
        return self.stage("summary")

    @property
    def report(self) -> Path:
        """The report over every recipe."""
        return self.root / "artifacts" / "report"

    @property
    def data_docs(self) -> Path:
        """Great Expectations' pages; they hold times, so they stay outside DVC outputs."""
        return self.root / ".synthgap" / "data_docs" / self.recipe

    @property
    def work(self) -> Path:
        """Work in progress, one folder a digest; never under a DVC output."""
        return self.root / ".synthgap" / "work"

    @property
    def image_sets_kept(self) -> Path:
        """A disposable cache of synthetic sets, a folder a digest of what makes them."""
        return self.root / ".synthgap" / "sets"

    @property
    def live(self) -> Path:
        """What running stages have to tell MLflow and could not send yet."""
        return self.root / ".synthgap" / "live"

    @property
    def times(self) -> Path:
        """Wall times of stages and runs: outside every DVC output, since they differ by run."""
        return self.root / ".synthgap" / "times"

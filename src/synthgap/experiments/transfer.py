"""Layer-wise transfer (MtG): freeze the first units of one source, relearn the rest on another."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from synthgap.experiments.runs.cell import Cell, make_cell
from synthgap.experiments.runs.sources import REAL, Source, open_source
from synthgap.experiments.runs.spec import Donor, RunSettings, RunSpec, donor_seed
from synthgap.jobs import Artifacts, Log
from synthgap.params.sections import Control, Transfer


@dataclass(frozen=True)
class TransferParams(RunSettings):
    """The sections that stage `transfer` reads."""

    transfer: Transfer


@dataclass(frozen=True)
class ControlParams(RunSettings):
    """The sections that stage `control` reads."""

    control: Control


def transfer(params: TransferParams, artifacts: Artifacts, log: Log, *, depth: int) -> None:
    """Relearn units [depth, ...) across sources, in both directions.

    Raises:
        SynthgapError: a donor is missing, or a training cannot go on.
    """
    synthetic = artifacts.synthetic(params.transfer.guidance_scale)
    sweep = _Sweep(params, params.transfer, artifacts, depth)
    plans = sweep.plans([(synthetic, REAL), (REAL, synthetic)])
    cell = Cell("transfer", (depth,), {"transfer": asdict(params.transfer)}, plans)
    make_cell(cell, params, artifacts, log)


def control(params: ControlParams, artifacts: Artifacts, log: Log, *, depth: int) -> None:
    """Relearn units [depth, ...) on the donor's own source: what freezing itself costs.

    Raises:
        SynthgapError: a donor is missing, or a training cannot go on.
    """
    synthetic = artifacts.synthetic(params.control.guidance_scale)
    sweep = _Sweep(params, params.control, artifacts, depth)
    plans = sweep.plans([(REAL, REAL), (synthetic, synthetic)])
    cell = Cell("control", (depth,), {"control": asdict(params.control)}, plans)
    make_cell(cell, params, artifacts, log)


@dataclass(frozen=True)
class _Sweep:
    params: RunSettings
    section: Transfer | Control
    artifacts: Artifacts
    depth: int

    def plans(self, pairs: list[tuple[str, str]]) -> list[RunSpec]:
        """One run for every (donor set, set) and seed."""
        size = self.params.data.image_size
        opened = {
            name: open_source(self.artifacts, name, size)
            for name in sorted({name for pair in pairs for name in pair})
        }
        return [
            self._plan(opened[donor_set], opened[name], seed)
            for donor_set, name in pairs
            for seed in self.section.seeds
        ]

    def _plan(self, taught_by: Source, source: Source, seed: int) -> RunSpec:
        direction = f"{taught_by.kind}->{source.kind}"
        seeds = self.params.train.seeds
        synthetic = "synthetic" in (taught_by.kind, source.kind)
        return RunSpec(
            name=f"{direction} n{self.depth} s{seed}",
            seed=seed,
            source=source,
            donor=Donor.open(self.artifacts, taught_by.name, donor_seed(seeds, seed)),
            depth=self.depth,
            mode="freeze",
            direction=direction,
            guidance_scale=self.section.guidance_scale if synthetic else None,
        )

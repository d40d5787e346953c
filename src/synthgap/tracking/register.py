"""Write every donor's prefixes as files, then publish them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

from synthgap.errors import CheckpointError, ParamsError, TrackingError
from synthgap.jobs import Artifacts, Log, file_digest, hold, read_json
from synthgap.params.sections import Grid, Register, Student
from synthgap.tracking.live_log import TRACKING_VARIABLE
from synthgap.tracking.prefix import PREFIX_STEM, registered_name, unit_input
from synthgap.tracking.publishing import publish_from

if TYPE_CHECKING:
    from torch import Tensor, nn

SELECTION_METRIC = "val/top1"  # never test: `best` selects
DONOR_KEYS = (
    "run",
    "recipe",
    "set",
    "seed",
    "num_classes",
    "classes",
    "normalisation",
    "image_size",
)


@dataclass(frozen=True)
class RegisterParams:
    """The sections that stage `register` reads; of `grid`, the depths alone."""

    student: Student
    register: Register
    grid: Grid


def register(params: RegisterParams, artifacts: Artifacts, log: Log) -> None:  # noqa: ARG001 - every stage has a log; nothing trains here
    """Write `prefix.safetensors` and `prefix.json` of both donors at every depth; publish them.

    Files are the truth: when the registry cannot be reached, one line says so and
    `synthgap mirror` publishes later.

    Raises:
        ParamsError: the student has no unit to relearn at one of grid.depths.
        CheckpointError: a donor is missing or damaged.
    """
    wanted = sorted(params.grid.depths)
    donors = [
        RegisteredDonor(artifacts, params, source, name)
        for source, name in (
            ("real", "train"),
            ("synthetic", artifacts.synthetic(params.register.guidance_scale)),
        )
    ]
    identity = {
        "experiment": "register",
        "recipe": artifacts.recipe,
        "params": {"student": asdict(params.student), "register": asdict(params.register)},
        "depths": wanted,
        "inputs": {
            path.relative_to(artifacts.root).as_posix(): file_digest(path)
            for path in _read_files(donors, wanted)
        },
    }
    output = artifacts.stage("register")
    with hold(artifacts.work, identity, output, stage="register") as work:
        if not work.finished:
            for donor in donors:
                donor.write(work.folder, wanted)
            work.publish()
    _publish(artifacts.root)


@dataclass(frozen=True)
class RegisteredDonor:
    """A student of stage `train` whose first units are registered."""

    artifacts: Artifacts
    params: RegisterParams
    source: str
    set_name: str

    @property
    def stem(self) -> Path:
        """Its checkpoint, without suffix."""
        folder = self.artifacts.cell("train", self.set_name)
        return folder / f"student-s{self.params.register.seed}"

    def write(self, place: Path, depths: Sequence[int]) -> None:
        """Write the prefix of every depth below `place`."""
        from synthgap.models.build import build_student
        from synthgap.models.checkpoint import load_weights
        from synthgap.models.units import units_of

        state, about = load_weights(self.stem)
        model = build_student(self.params.student.at_random(), about["num_classes"], seed=0)
        model.load_state_dict(state)
        model.eval()
        units = [unit.name for unit in units_of(model)]
        beyond = [depth for depth in depths if depth >= len(units)]
        if beyond:
            raise ParamsError(
                f"params.yaml, grid.depths: {beyond}, expected 1 to {len(units) - 1}: "
                f"{self.params.student.model} has {len(units)} units"
            )
        for depth in depths:
            self._write_one(place, model, state, {**self._about(about, depth), "units": units})

    def _write_one(
        self, place: Path, model: nn.Module, state: Mapping[str, Tensor], about: dict[str, Any]
    ) -> None:
        import torch

        from synthgap.models.checkpoint import save_state
        from synthgap.models.frozen_prefix import prefix_names

        depth, size = about["depth"], about["image_size"]
        with torch.inference_mode():
            features = unit_input(model, depth, torch.zeros(1, 3, size, size))
        about |= {
            "units": about["units"][:depth],
            "next_unit": about["units"][depth],
            "num_features": features.shape[1],
        }
        name = registered_name(about["recipe"], about["student"]["model"], self.source)
        kept = {entry: state[entry] for entry in prefix_names(model, depth)}
        folder = place / name.removeprefix(f"{about['recipe']}-") / f"n{depth}"
        folder.mkdir(parents=True, exist_ok=True)
        save_state(folder / PREFIX_STEM, kept, about)

    def _about(self, donor: Mapping[str, Any], depth: int) -> dict[str, Any]:
        trained = read_json(self.stem.parent / "run.json")
        path = self.stem.with_name(f"{self.stem.name}.safetensors")
        checkpoint = path.relative_to(self.artifacts.root).as_posix()
        return {
            **{name: donor[name] for name in DONOR_KEYS if name in donor and name != "run"},
            "schema": 1,
            "recipe": self.artifacts.recipe,
            "student": asdict(self.params.student),
            "source": self.source,
            "depth": depth,
            "donor": donor["run"],
            "inputs": {**trained["inputs"], checkpoint: donor["weights_sha256"]},
            "environment": trained["environment"],
            "real_labels": donor["real_labels"],
            "val_top1": self.selection(depth),
        }

    def selection(self, depth: int) -> dict[str, Any] | None:
        """`val` top-1 (percent) of the transfer runs with this donor's set: over seeds, or None.

        A single seed's spread is the one over its last epochs, and says so.
        """
        path = self.transfer_file(depth)
        runs = read_json(path)["runs"] if path.is_file() else []
        found = [
            run["last"][SELECTION_METRIC]
            for run in runs
            if run["donor_set"] == self.set_name
            and run["source"] != self.source
            and SELECTION_METRIC in run["last"]
        ]
        if not found:
            return None
        if len(found) == 1:
            return dict(found[0])
        means = [one["mean"] for one in found]
        return {"mean": fmean(means), "std": pstdev(means), "n": len(means), "over": "seeds"}

    def transfer_file(self, depth: int) -> Path:
        """Where the transfer runs of a depth are recorded."""
        return self.artifacts.cell("transfer", depth) / "run.json"


def _read_files(donors: Sequence[RegisteredDonor], depths: Sequence[int]) -> list[Path]:
    files = []
    for donor in donors:
        for path in (
            donor.stem.with_name(f"{donor.stem.name}.json"),
            donor.stem.parent / "run.json",
        ):
            if not path.is_file():
                raise CheckpointError(f"{path}: missing; run `dvc repro train`")
            files.append(path)
        files += [path for depth in depths if (path := donor.transfer_file(depth)).is_file()]
    return files


def _publish(root: Path) -> None:
    if os.environ.get(TRACKING_VARIABLE) == "off":
        return
    try:
        done = publish_from(root)
    except TrackingError as error:
        sys.stderr.write(f"register: the files are written, but not published: {error}\n")
        return
    for warning in done.warnings:
        sys.stderr.write(f"register: {warning}\n")
    print(f"register: {done.new} versions published, {done.known} known")  # noqa: T201 - progress

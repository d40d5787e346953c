"""Prefixes as stage `register` leaves them."""

from pathlib import Path

from fake_cells import RECIPE, STUDENT

from synthgap.jobs import Artifacts, silent
from synthgap.params.sections import Grid, Register
from synthgap.tracking.prefix import student_section
from synthgap.tracking.register import RegisterParams, register

NAME = "digits-resnet10t-synthetic"


def run_register(root: Path, depths: tuple[int, ...]) -> None:
    lists = {"control_depths": (2,), "fractions": (1,), "references": (), "guides": ()}
    grid = Grid(
        rivals=(), synthetic_sets=("g2.0",), sets=("train", "g2.0"), depths=depths,
        ablations=("oracle",), clones=("g2.0",), **lists,
    )  # fmt: skip
    params = RegisterParams(student_section({"student": STUDENT}), Register(2.0, 0), grid)
    register(params, Artifacts(root, RECIPE), silent)


def folder_of(root: Path, depth: int, source: str = "synthetic") -> Path:
    return root / f"artifacts/register/{RECIPE}/resnet10t-{source}/n{depth}"


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))

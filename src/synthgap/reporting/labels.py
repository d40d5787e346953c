"""How a record is named to the reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DIRECTIONS = ("synthetic->real", "real->synthetic", "real->real", "synthetic->synthetic")
CONTROL_OF = {
    "synthetic->real": "real->real",
    "real->synthetic": "synthetic->synthetic",
}


def arrow(direction: str) -> str:
    """`synthetic->real` with a real arrow."""
    return direction.replace("->", " \N{RIGHTWARDS ARROW} ")


def set_name(name: str) -> str:
    """What an image set's name means: `train`, `corpus`, `g2.0`."""
    if name.startswith("g"):
        return f"synthetic, guidance {float(name[1:]):g}"
    return {"train": "real", "corpus": "corpus (what the generator saw)"}.get(name, name)


def fraction_name(fraction: float | None) -> str:
    """`1/8` for 0.125."""
    if fraction is None:
        return ""
    return f"1/{round(1 / fraction)}" if fraction < 1 else "all"


def row_name(row: Mapping[str, Any]) -> str:
    """One line that says what was trained on what."""
    if row["experiment"] == "train":
        return f"trained on {set_name(row['set'])}"
    if row["experiment"] in {"transfer", "control"}:
        return f"{arrow(row['direction'])}, first {row['depth']} frozen"
    real = "all real" if row["fraction"] == 1 else f"{fraction_name(row['fraction'])} of the real"
    arm = {
        "scratch": "from scratch",
        "finetune": "fine-tuned from synthetic",
        "prefix": f"first {row['depth']} frozen from synthetic",
    }[row["arm"]]
    return f"{arm}, {real}"

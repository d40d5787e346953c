"""Cells of stage `guide` as it writes them, with invented numbers; for tests only."""

from __future__ import annotations

from made_up_cells import Plan, write_cell

from synthgap.jobs import Artifacts

SEEDS = (0, 1, 2, 3, 4)  # of the methods that are compared
FEW, ALL = 50, 600  # real images
LOW_SHOT = {  # method: percent
    "pooled": 88.0, "adaptation": 85.0, "a-gem": 88.4, "pg": 88.1, "rg": 92.5, "rg-pg": 93.0,
    "real": 62.0, "synthetic": 84.0, "asg": 80.0, "csg": 83.5, "dann": 87.0, "adda": 78.0,
    "dada": 82.0, "ltda": 84.5, "pg-r": 88.5, "pg-f": 87.5, "rg-pg-r": 92.0, "rg-pg-f": 91.0,
}  # fmt: skip
ZERO_SHOT = {
    "synthetic": 84.0, "pg-l1": 85.0, "pg-kl": 89.0, "bound": 98.0, "asg": 80.0, "csg": 81.5
}  # fmt: skip
COMPARED = {
    "low-shot": ("pooled", "adaptation", "a-gem", "pg", "rg", "rg-pg"),
    "zero-shot": ("synthetic", "pg-l1", "pg-kl"),
}
UNLABELLED = ("adda", "dada")
GUIDED_BY = ("asg", "csg", "pg", "pg-r", "pg-f", "pg-l1", "pg-kl", "rg-pg", "rg-pg-r", "rg-pg-f")


def write_guides(artifacts: Artifacts, plan: Plan) -> None:
    """Write both protocols: RG helps, ADDA harms, most others do not differ from pooling."""
    for protocol, methods in (("zero-shot", ZERO_SHOT), ("low-shot", LOW_SHOT)):
        runs = [(place(protocol, name), top1) for name, top1 in methods.items()]
        write_cell(artifacts, plan, "guide", (protocol,), runs)


def place(protocol: str, method: str) -> dict:
    """Where a method stands, and the real images and labels that it has."""
    few = FEW if protocol == "low-shot" else 0
    num_real = {"synthetic": 0, "bound": ALL}.get(method, few)
    generated = method not in ("real", "bound")
    names = (["train"] if num_real else []) + (["g2.0"] if generated else [])
    kind = {"train": "real", "g2.0": "synthetic"}.get("+".join(names), "mixed")
    labels = {
        "generator": 700 if generated else 0,
        "donor": 0,
        "student": 0 if method in UNLABELLED else num_real,
        "reference": 0,
    }
    return {
        "set": "+".join(names), "source": kind, "guidance_scale": 2.0 if generated else None,
        "protocol": protocol, "method": method, "init": "random", "real_labels": labels,
        "num_real_images": num_real, "num_synthetic_images": 600 if generated else 0,
        "num_images": num_real + (600 if generated else 0),
        "seeds": SEEDS if method in COMPARED[protocol] else SEEDS[:1],
    }  # fmt: skip

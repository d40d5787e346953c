"""`synthgap units`: the parts of a network that a depth counts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgap.errors import ParamsError

if TYPE_CHECKING:
    from torch import nn

    from synthgap.params.students import Student

PARAMS = Path("params.yaml")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `units` to the command line."""
    parser = subparsers.add_parser(
        "units",
        help="show the units of a network: what depth N keeps and freezes",
        description="Depth N keeps and freezes units 0 to N-1. Without MODEL, the student of "
        "params.yaml.",
        epilog="examples:\n  synthgap units\n  synthgap units resnet50\n"
        "  synthgap units resnet18 --options '{channels: [16, 32, 64, 128]}' --stem small "
        "--image-size 32",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="timm's name, e.g. resnet50")
    parser.add_argument("--options", metavar="YAML", help="timm's keyword arguments, as a mapping")
    parser.add_argument("--stem", choices=("imagenet", "small"), help="default: imagenet")
    parser.add_argument(
        "--image-size", type=int, metavar="PX", help="default: what its weights were made with"
    )
    parser.add_argument("--classes", type=int, default=1000, metavar="N", help="default: 1000")
    parser.add_argument("--json", action="store_true", help="a JSON object instead of a table")
    parser.set_defaults(run=_units)


def _units(arguments: argparse.Namespace) -> int:
    student, size_px = _asked(arguments)
    place = "synthgap units" if arguments.model else f"{PARAMS}, student"
    found = description(student, size_px, num_classes=arguments.classes, place=place)
    print(json.dumps(found, indent=1) if arguments.json else table(found))  # noqa: T201 - the answer
    return 0


def _asked(arguments: argparse.Namespace) -> tuple[Student, int | None]:
    """The student, and the size of its images where it is known."""
    from synthgap.params import read_params
    from synthgap.params.students import Student

    if arguments.model is None:
        if arguments.options or arguments.stem:
            raise ParamsError("synthgap units: --options and --stem are a MODEL's, name one")
        params = read_params(PARAMS)
        return params.student, arguments.image_size or params.training.global_crops.size
    options = _options(arguments.options or "{}")
    student = Student(
        model=arguments.model,
        options=options,
        stem=arguments.stem or "imagenet",
        init="random",
        weights=None,
        head="linear",
        temperature=1.0,
    )
    return student, arguments.image_size


def _options(text: str) -> dict[str, Any]:
    import yaml

    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError:
        read = None
    if not isinstance(read, dict):
        raise ParamsError(
            f"synthgap units --options: {text!r}, expected a YAML mapping such as "
            "'{channels: [16, 32, 64, 128]}'"
        )
    return {
        str(name): tuple(value) if isinstance(value, list) else value
        for name, value in read.items()
    }


def description(
    student: Student, size_px: int | None, *, num_classes: int, place: str
) -> dict[str, Any]:
    """Units of a student with their parameters and FLOPs for one image of `size_px`.

    Raises:
        ParamsError: timm knows no such model, cannot cut it, or it takes no such images.
    """
    from synthgap.models.units import num_parameters, unit_flops, units_of

    model = _outline(student, num_classes, place)
    units = units_of(model)
    size = size_px if size_px is not None else int(model.pretrained_cfg["input_size"][-1])  # type: ignore[index] # timm's own attribute
    flops = unit_flops(model, size)
    rows = [
        {
            "index": index,
            "name": unit.name,
            "parameters": num_parameters(model, unit),
            "flops": cost,
            "flops_share": cost / sum(flops),
        }
        for index, (unit, cost) in enumerate(zip(units, flops, strict=True))
    ]
    return {
        "schema": 1,
        "model": student.model,
        "options": dict(student.options),
        "stem": student.stem,
        "image_size": size,
        "num_classes": num_classes,
        "parameters": sum(row["parameters"] for row in rows),
        "flops": sum(flops),
        "units": rows,
    }


def _outline(student: Student, num_classes: int, place: str) -> nn.Module:
    """The student without memory: shapes alone, nothing drawn or computed."""
    from dataclasses import replace

    import torch

    from synthgap.models.build import build_student

    plain = replace(student, init="random", weights=None)
    with torch.device("meta"):
        return build_student(plain, num_classes, seed=0, place=place)


def table(found: dict[str, Any]) -> str:
    """One line a unit, and a heading that says of what."""
    rows = found["units"]
    width = max(len(row["name"]) for row in rows)
    lines = [
        f"{found['model']}: {len(rows)} units, {found['parameters']:,} parameters, "
        f"{found['flops'] / 1e9:.3g} GFLOPs an image of {found['image_size']} px, "
        f"{found['num_classes']} classes",
        f"unit  {'name':{width}}  {'parameters':>12}  {'FLOPs':>6}  up to here",
    ]
    done = 0.0
    for row in rows:
        done += row["flops_share"]
        lines.append(
            f"{row['index']:4}  {row['name']:{width}}  {row['parameters']:>12,}  "
            f"{row['flops_share']:>6.1%}  {done:>10.1%}"
        )
    return "\n".join(lines)

"""`synthgap data import | list | pin | export`: the image sets in data/, and those made of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synthgap.data.importing import Imported

SAY = {
    "added": "added",
    "replaced": "replaced",
    "unchanged": "already there, nothing changed",
    "kept": "kept as it was; answer yes or give --yes to replace it",
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `synthgap data` to the command line."""
    parser = subparsers.add_parser("data", help="image sets: import, list, pin, export")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    imports = commands.add_parser(
        "import",
        help="bring an image set into data/",
        description="Bring an image set into data/NAME: digits (embedded), cifar10, pets, flowers "
        "(downloaded, or from a folder), imagenet100, imagenet1k, cub (from a folder), or any "
        "other NAME from your own folder of class folders, with or without train/, val/, test/.",
    )
    imports.add_argument("name", metavar="NAME")
    imports.add_argument(
        "--from-folder", type=Path, metavar="PATH", help="folder, or .zip of class folders"
    )
    imports.add_argument("--yes", action="store_true", help="replace data/NAME without asking")
    imports.set_defaults(run=_import)

    commands.add_parser("list", help="show the image sets in data/").set_defaults(run=_list)

    pin = commands.add_parser("pin", help="accept data/NAME as it lies there")
    pin.add_argument("name", metavar="NAME")
    pin.set_defaults(run=_pin)

    exports = commands.add_parser(
        "export",
        help="write an image set as a folder of class folders",
        description="Copy the images of SET (train, g2.0, ... of this recipe, or the folder of any "
        "set) into FOLDER as CLASS/FILE, checked, whole or not at all: for tools that read an "
        "ImageFolder. Large sets lie in tar shards.",
    )
    exports.add_argument("image_set", metavar="SET")
    exports.add_argument("--to", type=Path, metavar="FOLDER", required=True)
    exports.set_defaults(run=_export)


def _import(arguments: argparse.Namespace) -> int:
    from synthgap.data.importing import import_set

    def confirm(question: str) -> bool:
        if arguments.yes:
            return True
        if not sys.stdin.isatty():
            print(f"{question} (no terminal to ask; give --yes)", file=sys.stderr)  # noqa: T201 - the answer
            return False
        return input(f"{question} [y/N] ").strip().casefold() in ("y", "yes")

    imported = import_set(Path.cwd(), arguments.name, arguments.from_folder, confirm)
    return _print_summary(imported)


def _pin(arguments: argparse.Namespace) -> int:
    from synthgap.data.importing import pin_set

    return _print_summary(pin_set(Path.cwd(), arguments.name))


def _export(arguments: argparse.Namespace) -> int:
    from synthgap.data.export import export, find_set

    images = find_set(Path.cwd(), arguments.image_set)
    export(images, arguments.to)
    print(f"{arguments.to}: {len(images)} images in {len(images.classes)} classes")  # noqa: T201 - the answer
    return 0


def _print_summary(imported: Imported) -> int:
    print(  # noqa: T201 - the command's answer
        f"data/{imported.name}: {imported.num_images} images in {imported.num_classes} classes, "
        f"{SAY[imported.outcome]}"
    )
    if imported.outcome in ("added", "replaced"):
        print("data.dvc states it now; `git add data.dvc && git commit` keeps it")  # noqa: T201 - the answer
    return int(imported.outcome == "kept")


def _list(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - as every command
    from synthgap.data.overview import overview

    print(overview(Path.cwd()))  # noqa: T201 - the answer
    return 0

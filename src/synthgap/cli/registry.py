"""`synthgap registry list | pull`: the frozen prefixes that stage `register` published."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synthgap.tracking.registry import PrefixVersion


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `registry` to the command line."""
    parser = subparsers.add_parser("registry", help="list and pull registered prefixes")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="every version with its aliases")
    listing.add_argument("--json", action="store_true", help="a JSON list instead of a table")
    listing.set_defaults(run=list_versions)
    pulling = commands.add_parser("pull", help="fetch one prefix as safetensors and JSON")
    pulling.add_argument("reference", help="NAME@ALIAS or NAME/VERSION, e.g. ...-synthetic@best")
    pulling.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder to make")
    pulling.add_argument("--yes", action="store_true", help="replace a prefix that is there")
    pulling.set_defaults(run=pull_version)


def list_versions(arguments: argparse.Namespace) -> int:
    """Print the registry."""
    from synthgap.tracking.registry import versions

    found = versions(Path.cwd())
    text = json.dumps([one.row() for one in found], indent=1) if arguments.json else table(found)
    print(text)  # noqa: T201 - the command's answer
    return 0


def table(found: list[PrefixVersion]) -> str:
    """One line a version."""
    if not found:
        return "no registered prefixes; run `dvc repro register`, then `synthgap mirror`"
    width = max(len(version.name) for version in found)
    lines = [f"{'name':{width}}  version  depth  val top-1  aliases"]
    for version in found:
        score = "-" if version.val_top1 is None else f"{version.val_top1:.1f}"
        row = f"{version.name:{width}}  {version.version:7}  {version.depth:5}  {score:>9}"
        lines.append(f"{row}  {', '.join(version.aliases)}".rstrip())
    return "\n".join(lines)


def pull_version(arguments: argparse.Namespace) -> int:
    """Fetch one prefix."""
    from synthgap.tracking.registry import pull

    target = pull(Path.cwd(), arguments.reference, arguments.to, overwrite=arguments.yes)
    opens = f"synthgap.load_prefix({str(target)!r})"
    print(f"{arguments.reference} -> {target}; {opens} opens it")  # noqa: T201 - the answer
    return 0

"""`synthgap explain`: how a synthetic image was made, and the same image made again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthgap.generation.synthesis.explaining import ImageExplanation, Regenerated


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `explain` to the command line."""
    parser = subparsers.add_parser(
        "explain",
        help="tell how a synthetic image was made, and make it again",
        description="Every image of stage synthesize tells in its own file how it was made.",
        epilog="examples:\n  synthgap explain artifacts/sets/digits/g2.0/3/00007.png\n"
        "  synthgap explain g2.0 73 --regenerate",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("image", metavar="IMAGE", help="a file, or the name or folder of a set")
    parser.add_argument("number", metavar="K", nargs="?", type=int, help="number k in the set")
    parser.add_argument(
        "--regenerate",
        action="store_true",
        help="make it again and compare; exit code 1 if the bytes differ",
    )
    parser.add_argument("--json", action="store_true", help="a JSON object instead of lines")
    parser.set_defaults(run=_explain)


def _explain(arguments: argparse.Namespace) -> int:
    from synthgap.generation.synthesis.explaining import (
        explained_file,
        explained_number,
        regenerate,
    )

    root = Path.cwd()
    if arguments.number is None:
        explained = explained_file(Path(arguments.image))
    else:
        explained = explained_number(root, arguments.image, arguments.number)
    made = regenerate(explained, root) if arguments.regenerate else None
    print(_as_json(explained, made) if arguments.json else _as_lines(explained, made))  # noqa: T201
    return 0 if made is None or made.equal else 1


def _as_json(explained: ImageExplanation, made: Regenerated | None) -> str:
    from dataclasses import asdict

    regenerated = None if made is None else asdict(made)
    content = {"image": explained.place, **explained.metadata, "regenerated": regenerated}
    return json.dumps(content, indent=1, sort_keys=True)


def _as_lines(explained: ImageExplanation, made: Regenerated | None) -> str:
    facts = _flat(explained.metadata)
    width = max(map(len, facts))
    lines = [explained.place, *(f"  {name:{width}}  {value}" for name, value in facts.items())]
    return "\n".join(lines if made is None else [*lines, _verdict(made)])


def _flat(metadata: Any, before: str = "") -> dict[str, str]:  # noqa: ANN401 - JSON
    """`generator.licence: CC0` for each value that is one."""
    if not isinstance(metadata, dict):
        return {
            before: metadata if isinstance(metadata, str) and metadata else json.dumps(metadata)
        }
    flat: dict[str, str] = {}
    for name in sorted(metadata):
        flat |= _flat(metadata[name], f"{before}.{name}" if before else name)
    return flat


def _verdict(made: Regenerated) -> str:
    if made.equal:
        return "made again: the same bytes"
    pixels = "another size" if made.largest_difference is None else (
        f"pixels differ by {made.largest_difference} at most"
    )  # fmt: skip
    reason = "; ".join(made.machine) or "another kind of machine, or another number of threads"
    return f"made again: other bytes, {pixels} ({reason})"

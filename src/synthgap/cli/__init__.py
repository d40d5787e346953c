"""The `synthgap` command: what a person types; the pipeline itself is run by DVC."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from importlib.metadata import version
from types import ModuleType

MODULES = ("data", "recipe", "prompts", "units", "explain", "study", "registry", "mirror")
"""One file a sub-command, each with `add_parser(subparsers)`; they import nothing heavy."""

EXAMPLES = """\
examples:
  synthgap recipe list                        what can be run, and what it needs
  synthgap recipe use folder                  your own images instead of the digits
  synthgap data import folder --from-folder /path/to/images
  synthgap prompts show --scheme definition   what would be asked, in tokens
  synthgap explain g2.0 73 --regenerate       how image 73 was made, and the same again
  synthgap units resnet50                     the parts of a network that a depth counts
  dvc repro                                   run what is new (or `make repro`)
  synthgap study run joint                    search guidance, augmentation and losses together
  synthgap registry list                      the frozen prefixes that were published
  synthgap registry pull NAME@ALIAS --to DIR
  synthgap mirror                             fill MLflow from what DVC holds

Run it in the root of a synthgap checkout.
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 when it did what was asked, 1 when the reader has something to mend."""
    arguments = _parser().parse_args(argv)
    try:
        code = _reported(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # `synthgap ... | head` is no mistake
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _reported(arguments: argparse.Namespace) -> int:
    from synthgap.stage import reported

    try:
        with reported():
            return int(arguments.run(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="synthgap",
        description="Measure, explain and close the gap between classifiers trained on generated "
        "images and on real ones.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"synthgap {version('synthgap')}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in MODULES:
        _module(name).add_parser(subparsers)
    return parser


def _module(name: str) -> ModuleType:
    return import_module(f"synthgap.cli.{name}")

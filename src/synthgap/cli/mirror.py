"""`synthgap mirror`: make MLflow say what the outputs say."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `mirror` to the command line."""
    parser = subparsers.add_parser(
        "mirror", help="rebuild MLflow runs and model versions from artifacts/, without doubles"
    )
    parser.set_defaults(run=mirror)


def mirror(_arguments: argparse.Namespace) -> int:
    """Bring the store up to date and say what was done."""
    from synthgap.tracking.mirror import mirror as bring_up_to_date

    print("\n".join(bring_up_to_date(Path.cwd()).lines()))  # noqa: T201 - the command's answer
    return 0

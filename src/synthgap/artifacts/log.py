"""How a run tells what it does while it does it."""

from collections.abc import Callable, Mapping
from typing import Any

Log = Callable[[str, Mapping[str, Any]], None]
"""`log(run_digest, event)`: never raises, never blocks, may be called in a forked process."""


def silent(run_digest: str, event: Mapping[str, Any]) -> None:
    """Tell nobody; for tests and library use without tracking."""

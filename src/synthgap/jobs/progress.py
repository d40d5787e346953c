"""How a job tells how far it is: one line on a terminal, and the log of a run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

Log = Callable[[str, Mapping[str, Any]], None]
"""`log(run_digest, event)`: never raises, never blocks, may be called in a forked process."""


def silent(run_digest: str, event: Mapping[str, Any]) -> None:
    """Tell nobody; for tests and library use without tracking."""


EVERY_S = 5.0


@dataclass
class Progress:
    """Tell about `total` things; a terminal sees one line renewed, a log a line every 5 s.

    The rate is that since the last line. `out` is standard error, if nothing else.
    """

    name: str
    total: int
    unit: str
    done: int = 0  # at first: what an earlier process has left
    out: TextIO | None = None
    _since: float = field(default_factory=time.monotonic)
    _fresh: int = 0

    def advance(self, count: int, note: str = "") -> None:
        """Count `count` more things as done, and tell if it is time to."""
        self.done += count
        self._fresh += count
        elapsed = time.monotonic() - self._since
        if elapsed < EVERY_S and self.done < self.total:
            return
        rate = self._fresh / max(elapsed, 1e-9)
        self._since, self._fresh = time.monotonic(), 0
        left = (self.total - self.done) / max(rate, 1e-9)
        line = f"{self.name}: {self.done} of {self.total} {self.unit}{note}, {rate:.1f} "
        line += f"{self.unit}/s, {_clock(left)} left"
        out = self.out or sys.stderr
        if out.isatty():
            out.write(f"\r\033[K{line}" + ("\n" if self.done >= self.total else ""))
        else:
            out.write(line + "\n")
        out.flush()


def log_line(line: str, out: TextIO | None = None) -> None:
    """Write one line where progress is written."""
    out = out or sys.stderr
    out.write(line + "\n")
    out.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

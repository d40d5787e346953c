"""Run one pipeline stage: read its params, open its log, report what the reader can mend."""

from __future__ import annotations

import argparse
import errno
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgap.errors import SynthgapError
from synthgap.experiments.settings import STAGE as SETTINGS
from synthgap.experiments.settings import require_settings
from synthgap.jobs import Artifacts, silent, write_json
from synthgap.jobs.launching import (
    die_with_parent,
    is_launched,
    is_main,
    launch,
    write_stderr,
)
from synthgap.params import read_params
from synthgap.tracking.live_log import open_log

if TYPE_CHECKING:
    from collections.abc import Iterator

Coordinate = type[int] | type[float] | type[str]


def run(
    main: Callable[..., None],
    *,
    shape: type,
    coordinates: Mapping[str, Coordinate] | None = None,
    in_processes: bool = False,
) -> None:
    """Call `main(params, artifacts, log, **coordinates)` as the command line asks; never returns.

    `shape` is a frozen dataclass whose fields are the sections that the stage reads. What the
    reader can mend is one line on stderr and exit code 1. A stage that trains, or one that says
    `in_processes`, is started in `runtime.processes` of them.
    """
    stage = Path(sys.argv[0]).stem
    given = _parse(stage, coordinates or {})
    root = Path.cwd()
    with reported():
        params = read_params(root / "params.yaml")
        artifacts = Artifacts(root, params.recipe)
        sections = {field.name: getattr(params, field.name) for field in fields(shape)}
        if {"student", "training"} <= set(sections) and stage != SETTINGS:
            require_settings(params, artifacts)
        if is_launched():
            die_with_parent()
        elif (in_processes or "training" in sections) and params.runtime.processes > 1:
            code = launch(sys.argv, params.runtime)
            _keep_times(artifacts, stage, given)
            sys.exit(code)
        main(shape(**sections), artifacts, open_log(root) if is_main() else silent, **given)
        if not is_launched():
            _keep_times(artifacts, stage, given)
    sys.exit(0)


@contextmanager
def reported() -> Iterator[None]:
    """Turn what the reader can mend into one line on stderr and exit code 1."""
    try:
        yield
    except SynthgapError as error:
        write_stderr(f"synthgap: {error}\n")
        sys.exit(1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
            raise
        place = f"{error.filename}: " if error.filename else ""
        write_stderr(
            f"synthgap: {place}{error.strerror}; expected room to write, free some and rerun: "
            "finished work is kept\n"
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("synthgap: interrupted; finished work is kept, rerun to go on\n")
        sys.exit(130)


def _keep_times(artifacts: Artifacts, stage: str, given: Mapping[str, Any]) -> None:
    """Note when this process started, imports included, and that it ends now."""
    import psutil

    name = "-".join([stage, artifacts.recipe, *(str(value) for value in given.values())])
    start, end = psutil.Process().create_time(), time.time()
    times = {"stage": stage, "coordinates": dict(given), "start": start, "end": end}
    write_json(artifacts.times / "stages" / f"{name}.json", times)


def _parse(stage: str, coordinates: Mapping[str, Coordinate]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog=f"pipelines/{stage}.py")
    for name, kind in coordinates.items():
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, type=kind, required=True)
    return vars(parser.parse_args())

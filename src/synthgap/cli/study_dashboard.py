"""`synthgap study dashboard`: optuna-dashboard over the studies, the stage's included."""

from __future__ import annotations

from synthgap.cli.study_place import Place, read_record

HOST = "127.0.0.1"


def dashboard(port: int, *, storage: str | None) -> int:
    """Serve the dashboard until it is stopped.

    It runs in this process, so that a storage's password is in no other command line.
    """
    from synthgap.experiments.studies.dashboard import bring, check_port, serve
    from synthgap.experiments.studies.opening import STAGE
    from synthgap.experiments.studies.session import record_path

    place = Place.here(storage)
    check_port(HOST, port)
    path = record_path(place.artifacts, STAGE)
    if path.is_file() and bring(read_record(path), place.storage):
        _say(f"{path.relative_to(place.artifacts.root)} is in {place.shown} now")
    _say(f"optuna-dashboard: http://{HOST}:{port}/ over {place.shown} (Ctrl-C ends it)")
    serve(place.storage, host=HOST, port=port)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the command's answer

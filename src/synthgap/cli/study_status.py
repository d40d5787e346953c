"""`synthgap study status`: how far studies are, and who works on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from synthgap.cli.study_place import StudyPlace, read_record
from synthgap.cli.study_tell import aligned
from synthgap.errors import SynthgapError

HEADERS = ("study", "complete", "pruned", "failed", "running", "waiting", "best so far", "state")


def status(name: str | None, *, storage: str | None) -> int:
    """Print one study's state, or a table of all."""
    place = StudyPlace.here(storage)
    lines = table(place) if name is None else one(place, name)
    for line in lines:
        print(line)  # noqa: T201 - the command's answer
    return 0


def table(place: StudyPlace) -> Iterator[str]:
    """One line a study of this recipe."""
    names = place.names()
    if not names:
        described = ", ".join(place.params.studies)
        yield f"no study of {place.artifacts.recipe} in {place.masked_url} yet"
        yield f"`synthgap study run NAME` makes one; params.yaml describes {described or 'none'}"
        return
    yield from aligned([HEADERS, *(_row(place, name) for name in names)])


def one(place: StudyPlace, name: str) -> Iterator[str]:
    """A study in lines, its workers last."""
    found = _found(place, name)
    counts = ", ".join(f"{count} {state}" for state, count in _counts(found).items() if count)
    where = place.masked_url if place.is_kept(name) else "its record here, not in the storage"
    yield f"study {name} ({place.artifacts.recipe}): {found['budget']} trials: {counts} ({where})"
    yield f"best so far: {_best(found)}"
    if found["deaths"]:
        yield f"{found['deaths']} workers died on the way; their trials were given back"
    for worker in found["workers"]:
        yield f"worker on {_doing(worker)}: {_beat(worker)}"
    yield _state(found, name)


def _found(place: StudyPlace, name: str) -> dict[str, Any]:
    from synthgap.studies.status import overview, stored_plan
    from synthgap.studies.storage import load_study

    if not place.is_kept(name):
        return _of_record(place.record(name))
    study = load_study(name, place.artifacts.recipe, place.storage)
    return overview(study, stored_plan(study, place.params))


def _of_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a study that only its record tells of."""
    study = record["study"]
    counts = {state: study["counts"][state] for state in ("complete", "pruned", "failed")}
    rows = [row for row in record["runs"] if row["kind"] != "final"]
    best = study["best"] if study["best"] is not None else next(iter(study["pareto"]), None)
    return {
        "name": study["name"],
        "objectives": [one["metric"] for one in study["objectives"]],
        "budget": study["trials"],
        "counts": counts,
        "running": 0,
        "waiting": study["trials"] - sum(counts.values()),
        "deaths": 0,
        "best": next((row for row in rows if row["trial"] == best), None),
        "workers": [],
        "closed": study["verdict"] is not None,
    }


def _row(place: StudyPlace, name: str) -> tuple[str, ...]:
    try:
        found = _found(place, name)
    except SynthgapError as error:  # one that cannot be read hides no other
        return (name, *["-"] * 5, "-", str(error))
    counts = (str(count) for count in _counts(found).values())
    state = "closed" if found["closed"] else "open"
    dead = sum(worker["is_dead"] for worker in found["workers"])
    state += f", {dead} dead workers" if dead else ""
    state += "" if place.is_kept(name) else ", record only"
    return (name, *counts, _best(found), state)


def _counts(found: Mapping[str, Any]) -> dict[str, int]:
    return {**found["counts"], "running": found["running"], "waiting": found["waiting"]}


def _best(found: Mapping[str, Any]) -> str:
    from synthgap.reporting.studies_names import metric_word, score_spread

    row = found["best"]
    if row is None:
        return "none yet"
    reached = ", ".join(
        f"{metric_word(name)} {score_spread(name, row['last'][name])}"
        for name in found["objectives"]
    )
    return f"trial {row['trial']}, {reached}"


def _doing(worker: Mapping[str, Any]) -> str:
    if worker["trial"] is None:
        return "the closing (finals and verdict)"
    return f"trial {worker['trial']} ({worker['kind']})"


def _beat(worker: Mapping[str, Any]) -> str:
    silent = worker["silent_s"]
    if silent is None:
        return "just started, no beat yet"
    if worker["is_dead"]:
        return f"dead, silent for {silent:.0f} s; the next worker that looks gives its trial back"
    return f"last beat {max(0.0, silent):.0f} s ago"


def _state(found: Mapping[str, Any], name: str) -> str:
    if found["closed"]:
        return f"closed; `synthgap study best {name}` tells what won"
    alive = [worker for worker in found["workers"] if not worker["is_dead"]]
    if alive:
        return f"{len(alive)} at work; `synthgap study work --study {name}` adds another"
    return f"nobody is at work; `synthgap study resume {name}` goes on"


HOST = "127.0.0.1"


def dashboard(port: int, *, storage: str | None) -> int:
    """Serve the dashboard until it is stopped.

    It runs in this process, so that a storage's password is in no other command line.
    """
    from synthgap.studies.dashboard import bring, check_port, serve
    from synthgap.studies.session import record_path
    from synthgap.studies.trials.setup import STAGE

    place = StudyPlace.here(storage)
    check_port(HOST, port)
    path = record_path(place.artifacts, STAGE)
    if path.is_file() and bring(read_record(path), place.storage):
        _say(f"{path.relative_to(place.artifacts.root)} is in {place.masked_url} now")
    _say(f"optuna-dashboard: http://{HOST}:{port}/ over {place.masked_url} (Ctrl-C ends it)")
    serve(place.storage, host=HOST, port=port)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the command's answer

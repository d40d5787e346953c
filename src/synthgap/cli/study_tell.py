"""`synthgap study best | compare | report`: what studies found, from their records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from synthgap.cli.study_place import StudyPlace

Record = Mapping[str, Any]


def best(name: str, *, storage: str | None) -> int:
    """Print what won, by how much, and what it cost."""
    record = StudyPlace.here(storage).record(name)
    for line in [*best_lines(record), *_next(record)]:
        _say(line)
    return 0


def compare(names: Sequence[str], *, storage: str | None) -> int:
    """Print a table of studies."""
    place = StudyPlace.here(storage)
    rows = [compared(place.record(name)) for name in dict.fromkeys(names)]
    for line in aligned([HEADERS, *rows]):
        _say(line)
    return 0


def report(name: str, *, storage: str | None) -> int:
    """Write a study's page from what there is now."""
    for line in published(StudyPlace.here(storage), name):
        _say(line)
    return 0


def published(place: StudyPlace, name: str) -> list[str]:
    """Write the study's record and its page, bring both to MLflow, and say where they are."""
    from synthgap.reporting.studies_section import write_study_page
    from synthgap.studies.finalise import write_record
    from synthgap.studies.session import record_path
    from synthgap.studies.status import stored_plan
    from synthgap.studies.storage import load_study
    from synthgap.studies.trials.setup import STAGE
    from synthgap.tracking.sender import log_study

    path = record_path(place.artifacts, name)
    if place.is_kept(name):
        study = load_study(name, place.artifacts.recipe, place.storage)
        write_record(stored_plan(study, place.params), study, place.artifacts)
    elif not path.is_file():
        raise place.unknown(name)
    # The stage's folder is an output of DVC: nothing is added to it.
    folder = path.parent
    if name == STAGE:
        folder = record_path(place.artifacts, STAGE + "-page").parent
    page = write_study_page(path, folder)
    lines = [f"page: {page}"]
    problem = None if name == STAGE else log_study(place.artifacts.root, folder)
    if problem is not None:
        lines.append(f"MLflow: {problem}")
    return [*lines, *_next(place.record(name))]


def best_lines(record: Record) -> Iterator[str]:
    """What won, by how much, with how many labels and steps."""
    study = record["study"]
    counts = study["counts"]
    text = ", ".join(f"{counts[state]} {state}" for state in counts if counts[state]) or "none yet"
    yield (
        f"study {study['name']} ({record['recipe']}): {study['method']}, {study['protocol']}; "
        f"{study['trials']} trials: {text}"
    )
    yield from _winner_lines(record)
    yield from _verdict_lines(study)
    yield f"real labels: {labels_text(study['labels'])}: {_freedom(study)}"
    if study["num_steps"] and study["full_steps"]:
        yield steps_text(study["num_steps"], study["full_steps"])


def steps_text(spent: int, full: int) -> str:
    """What trials took, against as many that nothing stops and that begin with all images."""
    share = 100 * (1 - spent / full)
    found = f"{share:.0f} % saved" if spent <= full else f"{-share:.0f} % more, nothing was saved"
    return (
        f"steps: {spent:,} of the {full:,} of as many full trials ({found} by pruning and smaller "
        "sets)"
    )


def _winner_lines(record: Record) -> Iterator[str]:
    from synthgap.reporting.studies_names import score_spread, value_name

    study, winner = record["study"], record["study"]["winner"]
    if winner is None or study["pareto"]:
        yield from _leader_lines(record)
    if winner is None:
        return
    called = "the default" if is_default(study) else f"trial {winner['trial']}"
    yield f"winner: {called}"
    for key, value in winner["tuned"].items():
        default = study["default"].get(key)
        beside = "" if default == value else f"  (default {value_name(default)})"
        yield f"  {key}: {value_name(value)}{beside}"
    for entry in study["finals"]:
        if entry["val"] is not None and entry["trial"] in (winner["trial"], "default"):
            name = "default" if entry["trial"] == "default" else f"trial {entry['trial']}"
            yield f"val accuracy of {name}: {score_spread('val/top1', entry['val'])}, fresh seeds"


def _leader_lines(record: Record) -> Iterator[str]:
    """The best trial so far; of several objectives, those that no other beats in all of them."""
    from synthgap.reporting.studies_names import score_spread, tuned_names

    study = record["study"]
    leaders = [study["best"]] if study["best"] is not None else study["pareto"]
    rows = {row["trial"]: row for row in record["runs"] if row["kind"] != "final"}
    called = "of the front" if study["pareto"] else "best so far"
    if not leaders:
        yield f"{called}: none is complete and within the constraints"
    for slot in leaders:
        row = rows[slot]
        reached = ", ".join(
            f"{one['metric']} {score_spread(one['metric'], row['last'][one['metric']])}"
            for one in study["objectives"]
        )
        tuned = tuned_names(row["tuned"], study["default"], [*row["tuned"]]) or "default values"
        yield f"{called}: trial {slot}, {reached}: {tuned}"


def _verdict_lines(study: Mapping[str, Any]) -> Iterator[str]:
    from synthgap.reporting.studies_names import score_spread

    verdict = study["verdict"]
    if verdict is None:
        yield "test: not scored yet; it is once, after the search, by the winner and the default"
        return
    won = score_spread("val/top1", verdict["winner_top1"])
    if is_default(study):
        yield f"test: the default {won}"
        return
    beside = score_spread("val/top1", verdict["default_top1"])
    yield f"test: the winner {won}, the default {beside}: {difference_text(verdict)}"


def difference_text(verdict: Mapping[str, Any]) -> str:
    """`+1.4 points [0.2, 2.6], 95 % over 5 paired seeds`, and whether that is resolved."""
    paired = verdict["difference"]
    low, high = paired["low"], paired["high"]
    if low is None or high is None:
        return f"{paired['mean']:+.1f} points (no interval from {paired['n']} seed)"
    sure = f"{100 * paired['confidence']:g} % over {paired['n']} paired seeds"
    open_ = ", not resolved" if low <= 0 <= high else ""
    return f"{paired['mean']:+.1f} points [{low:.1f}, {high:.1f}], {sure}{open_}"


def labels_text(labels: Mapping[str, Any]) -> str:
    """`250 of val by the objective, 700 generator, 0 reference, 50 student`."""
    counts = {name: "an unknown number" if n is None else f"{n:,}" for name, n in labels.items()}
    first = f"{counts.pop('objective')} of val by the objective"
    return ", ".join([first, *(f"{count} {name}" for name, count in counts.items())])


def is_default(study: Mapping[str, Any]) -> bool:
    """Whether the default itself won."""
    winner = study["winner"]
    return winner is not None and winner["tuned"] == study["default"]


HEADERS = (
    "study", "objective", "trials", "steps", "best on val", "test: winner - default",
    "real labels (val, all)",
)  # fmt: skip


def compared(record: Record) -> tuple[str, ...]:
    """A study's row of the table."""
    study = record["study"]
    counts, labels, verdict = study["counts"], study["labels"], study["verdict"]
    ended = sum(counts[state] for state in ("complete", "pruned", "failed"))
    behind = [count for name, count in labels.items() if name != "objective"]
    total = "unknown" if None in behind else f"{labels['objective'] + sum(behind):,}"
    paired = "not scored yet" if verdict is None else difference_text(verdict)
    return (
        study["name"],
        ", ".join(one["metric"] for one in study["objectives"]),
        f"{ended} of {study['trials']} ({counts['pruned']} pruned)",
        f"{study['num_steps']:,}",
        _best_on_val(record),
        "the default won" if is_default(study) else paired,
        f"{labels['objective']:,}, {total}",
    )


def _best_on_val(record: Record) -> str:
    from synthgap.reporting.studies_names import score_spread

    study, winner = record["study"], record["study"]["winner"]
    for entry in study["finals"] if winner is not None else ():
        if entry["trial"] == winner["trial"] and entry["val"] is not None:
            return score_spread("val/top1", entry["val"])
    best = study["best"] if study["best"] is not None else next(iter(study["pareto"]), None)
    for row in record["runs"]:
        if row["trial"] == best and row["kind"] != "final" and "val/top1" in row.get("last", {}):
            return score_spread("val/top1", row["last"]["val/top1"])
    return "-"


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of a table, columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _freedom(study: Mapping[str, Any]) -> str:
    if study["data_free"]:
        return "data-free"
    return "a synthetic-only result tuned so is not data-free"


def _next(record: Record) -> list[str]:
    study = record["study"]
    if study["winner"] is None:
        return [f"next: `synthgap study resume {study['name']}`"]
    if is_default(study):
        return ["next: nothing to apply, the default won"]
    return [f"next: `synthgap study apply {study['name']}` writes the winner into params.yaml"]


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the command's answer
